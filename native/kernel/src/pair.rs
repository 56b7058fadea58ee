//! The far end of a pair that somebody moved and renamed since it was made: found by its index, never by its name.

use nix::errno::Errno;

use crate::{
    error::{Error, Result},
    link::Link,
    message::{
        address,
        link::{self, Traits},
    },
    netns::HOST,
    parse::{self, Cidr},
    site::{Site, Sites},
};

const KIND: &str = "veth";

/// What can be seen of the other end from here, whatever namespace it is in.
pub fn far_of(site: &mut Site, near: &Link) -> Result<Option<Link>> {
    let Some(index) = near.lower.filter(|_| near.kind == KIND) else {
        return Ok(None);
    };
    let payload = match site
        .socket
        .get(&link::get_index_in(index, near.lower_netns))
    {
        // It went meanwhile, or before Linux 4.17 nothing is told of it.
        Err(error) if [Errno::ENODEV, Errno::EINVAL].iter().any(|&e| error.is(e)) => {
            return Ok(None);
        }
        outcome => outcome?,
    };
    Ok(Link::parse(&payload).filter(|far| far.kind == KIND && far.lower == Some(near.index)))
}

/// What is to be so at the other end of a pair.
#[derive(Default)]
pub struct Far<'a> {
    pub mtu: Option<u32>,
    /// The prefix length of an address, where the other end has that address.
    pub address: Option<&'a str>,
}

/// Sets the other end of a pair: in the namespace `peer`, or still in the host.
pub fn set_far(sites: &mut Sites, netns: &str, name: &str, wanted: &Far, peer: &str) -> Result<()> {
    let cidr = wanted.address.map(|text| parse::cidr("address", text));
    let cidr = cidr.transpose()?;
    let (site, far) = far_end(sites, netns, name, peer)?;
    let traits = Traits {
        mtu: wanted.mtu,
        ..Traits::default()
    };
    site.adjust(&far, &traits)?;
    cidr.map_or(Ok(()), |cidr| readdress(site, far.index, cidr))
}

fn far_end<'a>(
    sites: &'a mut Sites,
    netns: &str,
    name: &str,
    peer: &str,
) -> Result<(&'a mut Site, Link)> {
    let name = parse::link_name("name", name)?;
    let site = sites.at(netns)?;
    let absent = |what: String| Error::new(Errno::ENODEV, what).at_link(name);
    let near = site
        .link(name)?
        .ok_or_else(|| absent(format!("there is no link \"{name}\"")))?;
    let index = near.lower.filter(|_| near.kind == KIND);
    for place in [peer, HOST] {
        let Some(there) = sites.at_if_present(place)?.map(|site| site.netns.clone()) else {
            continue;
        };
        if near.lower_netns != sites.at(netns)?.number_of(&there)? {
            continue;
        }
        let site = sites.at(place)?;
        let far = index.map_or(Ok(None), |index| site.link_at(index))?;
        if let Some(far) = far.filter(|far| far.kind == KIND && far.lower == Some(near.index)) {
            return Ok((sites.at(place)?, far));
        }
    }
    Err(absent(format!(
        "the other end of \"{name}\" is not in {peer}"
    )))
}

/// Gives an address that a link has another prefix length. IPv4 has it twice for a moment: the last one that goes takes
/// the link's routes along. IPv6 has none twice, and keeps its routes over gateways.
fn readdress(site: &mut Site, index: u32, wanted: Cidr) -> Result<()> {
    let found = site.socket.dump(&address::dump(Some(index)))?;
    let old = found
        .iter()
        .filter_map(|(_, payload)| address::parse(payload))
        .filter(|(on, cidr)| *on == index && cidr.address == wanted.address)
        .map(|(_, cidr)| cidr);
    let (same, others): (Vec<_>, Vec<_>) = old.partition(|cidr| cidr.prefix == wanted.prefix);
    if others.is_empty() {
        return Ok(());
    }
    let mut changes: Vec<_> = others.iter().map(|&c| address::delete(index, c)).collect();
    if same.is_empty() {
        let at = if wanted.address.is_ipv4() {
            0
        } else {
            changes.len()
        };
        changes.insert(at, address::add(index, wanted));
    }
    for answer in site.socket.transact(&changes)? {
        answer?;
    }
    Ok(())
}
