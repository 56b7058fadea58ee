//! Who may be told what: by the networks that an asker is on.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use weave_kernel::{Error, Result};

/// A subnet, its host bits zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subnet {
    address: IpAddr,
    pub prefix: u8,
}

impl Subnet {
    pub fn parse(text: &str) -> Result<Self> {
        let parts = text.split_once('/');
        let parsed = parts.and_then(|(address, prefix)| {
            let subnet = Self {
                address: address.parse().ok()?,
                prefix: prefix.parse().ok()?,
            };
            let longest = if subnet.address.is_ipv4() { 32 } else { 128 };
            (subnet.prefix <= longest).then(|| Self::around(subnet.address, subnet.prefix))
        });
        parsed.ok_or_else(|| Error::invalid("subnets", format!("\"{text}\" is no subnet")))
    }

    fn around(address: IpAddr, prefix: u8) -> Self {
        let prefix_bits = u32::from(prefix);
        let address = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - prefix_bits).unwrap_or(0);
                Ipv4Addr::from(u32::from(address) & mask).into()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - prefix_bits).unwrap_or(0);
                Ipv6Addr::from(u128::from(address) & mask).into()
            }
        };
        Self { address, prefix }
    }
}

type Ids = Vec<Box<str>>;

#[derive(Default)]
pub struct Scopes {
    networks: HashMap<Box<str>, Vec<Subnet>>,
    /// The networks that have a subnet.
    subnets: HashMap<Subnet, Ids>,
    /// How many subnets there are of each length: those of IPv4, and of IPv6.
    lengths: [BTreeMap<u8, usize>; 2],
    askers: HashMap<IpAddr, Ids>,
}

/// What one asker may be told.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    told: Option<&'a Ids>,
    subnet: Option<&'a Ids>,
}

impl Scope<'_> {
    pub const ALL: Self = Self {
        told: None,
        subnet: None,
    };

    /// Who is on no network sees everything; everyone sees what is on none.
    pub fn sees(&self, network: Option<&str>) -> bool {
        let Some(network) = network else { return true };
        let is_on = |ids: &Ids| ids.iter().any(|id| **id == *network);
        (self.told.is_none() && self.subnet.is_none())
            || self.told.is_some_and(is_on)
            || self.subnet.is_some_and(is_on)
    }
}

impl Scopes {
    pub fn of(&self, asker: IpAddr) -> Scope<'_> {
        Scope {
            told: self.askers.get(&asker),
            subnet: self.subnet_of(asker).map(|(_, ids)| ids),
        }
    }

    /// The smallest subnet around an address.
    pub fn subnet_of(&self, address: IpAddr) -> Option<(Subnet, &Ids)> {
        let lengths = self.lengths[usize::from(address.is_ipv6())].keys().rev();
        lengths
            .map(|&prefix| Subnet::around(address, prefix))
            .find_map(|subnet| Some((subnet, self.subnets.get(&subnet)?)))
    }

    pub fn put_network(&mut self, id: &str, subnets: Vec<Subnet>) {
        self.drop_network(id);
        for &subnet in &subnets {
            self.subnets.entry(subnet).or_default().push(id.into());
            *self.count_of(subnet) += 1;
        }
        self.networks.insert(id.into(), subnets);
    }

    pub fn drop_network(&mut self, id: &str) {
        for subnet in self.networks.remove(id).unwrap_or_default() {
            if let Some(ids) = self.subnets.get_mut(&subnet) {
                if let Some(at) = ids.iter().position(|known| **known == *id) {
                    ids.swap_remove(at);
                }
                if ids.is_empty() {
                    self.subnets.remove(&subnet);
                }
            }
            *self.count_of(subnet) -= 1;
            self.lengths[usize::from(subnet.address.is_ipv6())].retain(|_, count| *count > 0);
        }
    }

    fn count_of(&mut self, subnet: Subnet) -> &mut usize {
        let lengths = &mut self.lengths[usize::from(subnet.address.is_ipv6())];
        lengths.entry(subnet.prefix).or_default()
    }

    pub fn put_asker(&mut self, address: IpAddr, networks: Ids) {
        self.askers.insert(address, networks);
    }

    pub fn drop_asker(&mut self, address: IpAddr) {
        self.askers.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes() -> Scopes {
        let mut scopes = Scopes::default();
        let subnets = |list: &[&str]| list.iter().map(|s| Subnet::parse(s).unwrap()).collect();
        scopes.put_network("blue", subnets(&["10.1.0.0/16", "fd00:1::/64"]));
        scopes.put_network("red", subnets(&["10.2.0.0/24"]));
        scopes
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_in_a_subnet_is_on_its_network() {
        let scopes = scopes();
        for address in ["10.1.255.9", "fd00:1::9"] {
            let scope = scopes.of(ip(address));
            assert!(scope.sees(Some("blue")) && scope.sees(None), "{address}");
            assert!(!scope.sees(Some("red")), "{address}");
        }
    }

    #[test]
    fn who_is_on_no_network_sees_all() {
        let scopes = scopes();
        let scope = scopes.of(ip("192.0.2.1"));
        assert!(scope.sees(Some("blue")) && scope.sees(Some("red")) && scope.sees(None));
    }

    #[test]
    fn an_asker_is_on_what_is_told_of_it_and_on_its_subnets_network() {
        let mut scopes = scopes();
        scopes.put_asker(ip("10.1.0.9"), vec!["red".into()]);
        scopes.put_asker(ip("192.0.2.1"), vec![]);
        assert!(scopes.of(ip("10.1.0.9")).sees(Some("blue")));
        assert!(scopes.of(ip("10.1.0.9")).sees(Some("red")));
        assert!(!scopes.of(ip("192.0.2.1")).sees(Some("red")));
        scopes.drop_asker(ip("10.1.0.9"));
        assert!(!scopes.of(ip("10.1.0.9")).sees(Some("red")));
    }

    #[test]
    fn a_network_that_goes_takes_its_subnets_along() {
        let mut scopes = scopes();
        scopes.put_network("blue", vec![Subnet::parse("10.3.0.0/16").unwrap()]);
        assert!(scopes.subnet_of(ip("10.1.0.9")).is_none());
        assert!(scopes.subnet_of(ip("10.3.0.9")).is_some());
        scopes.drop_network("blue");
        scopes.drop_network("red");
        assert!(scopes.subnets.is_empty() && scopes.networks.is_empty());
        assert!(scopes.lengths.iter().all(BTreeMap::is_empty));
    }

    #[test]
    fn the_smallest_subnet_counts() {
        let mut scopes = scopes();
        scopes.put_network("inner", vec![Subnet::parse("10.1.9.77/24").unwrap()]);
        assert!(scopes.of(ip("10.1.9.1")).sees(Some("inner")));
        assert!(!scopes.of(ip("10.1.9.1")).sees(Some("blue")));
        assert!(scopes.of(ip("10.1.8.1")).sees(Some("blue")));
    }

    #[test]
    fn what_is_no_subnet_is_refused() {
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "fd00::/129",
            "x/8",
            "10.0.0.0/8/8",
        ] {
            assert!(Subnet::parse(text).is_err(), "{text}");
        }
        assert!(Subnet::parse("0.0.0.0/0").is_ok() && Subnet::parse("::/0").is_ok());
    }
}
