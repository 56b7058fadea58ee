//! Reads what is there: a whole namespace, or some links of it with what hangs on them.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use netlink_packet_route::AddressFamily;
use nix::errno::Errno;

use crate::{
    error::{Error, Result},
    link::Link,
    message::{address, link, neighbour, route},
    netns::SWITCH,
    observed::{
        Observed, ObservedAddress, ObservedFdb, ObservedLink, ObservedNeighbour, ObservedRoute,
        ObservedSysctl,
    },
    op::Query,
    pair,
    parse::{self, Cidr, format_mac},
    request::Request,
    site::{Site, Sites},
    socket::Message,
    sysctl,
    worker::contain,
};

const FAMILIES: [AddressFamily; 2] = [AddressFamily::Inet, AddressFamily::Inet6];

/// Answers a query; a panic in it becomes its error.
pub fn observe(sites: &mut Sites, query: &Query) -> Observed {
    if query.netns == SWITCH {
        // What is read to be judged, and then to be mended, shall not be mended by what was believed before.
        sites.forget_switch();
    }
    let observed = contain(|| {
        let mut reader = Reader::new(sites.at(&query.netns)?);
        reader.sees_far = query.netns == SWITCH;
        match &query.links {
            None => reader.everything()?,
            Some(names) => reader.named(names)?,
        }
        let mut observed = reader.observed;
        observed.sysctls = sysctls(sites, query)?;
        Ok(observed)
    });
    let observed = observed.unwrap_or_else(|panic| {
        sites.spoil();
        Err(panic)
    });
    sites.leave();
    match observed {
        Ok(observed) => Observed {
            netns: query.netns.clone(),
            ..observed
        },
        Err(error) => unreadable(query, &error),
    }
}

fn sysctls(sites: &mut Sites, query: &Query) -> Result<Vec<ObservedSysctl>> {
    if query.sysctls.is_empty() {
        return Ok(Vec::new());
    }
    sites.inside(&query.netns, || {
        let mut found = Vec::new();
        for key in &query.sysctls {
            if let Some(value) = sysctl::get(parse::sysctl_key("sysctls", key)?)? {
                let key = key.clone();
                found.push(ObservedSysctl { key, value });
            }
        }
        Ok(found)
    })
}

pub fn unreadable(query: &Query, error: &Error) -> Observed {
    Observed {
        netns: query.netns.clone(),
        errno: Some(error.errno),
        code: Some(error.code.clone()),
        ..Observed::default()
    }
}

/// All links of a namespace.
pub fn links(site: &mut Site) -> Result<Vec<Link>> {
    let messages = site.socket.dump(&link::dump())?;
    Ok(messages
        .iter()
        .filter_map(|(_, payload)| Link::parse(payload))
        .collect())
}

struct Reader<'a> {
    site: &'a mut Site,
    names: HashMap<u32, String>,
    vxlans: HashSet<u32>,
    observed: Observed,
    /// Whether the other ends of pairs are looked at too.
    sees_far: bool,
}

impl<'a> Reader<'a> {
    fn new(site: &'a mut Site) -> Self {
        Self {
            site,
            names: HashMap::new(),
            vxlans: HashSet::new(),
            observed: Observed::default(),
            sees_far: false,
        }
    }

    fn everything(&mut self) -> Result<()> {
        let links = links(self.site)?;
        for link in &links {
            self.names.insert(link.index, link.name.clone());
        }
        for link in links {
            self.take_link(link)?;
        }
        self.contents(None)?;
        self.routes()?;
        self.fdb(None)
    }

    fn named(&mut self, names: &[String]) -> Result<()> {
        for name in names {
            // A name that the kernel could not even have is as absent as any other.
            let found = match self.site.link(name) {
                Err(error) if error.is(Errno::EINVAL) || error.is(Errno::ERANGE) => None,
                found => found?,
            };
            let Some(found) = found else { continue };
            let index = found.index;
            // What bridges learn is theirs, and entries of ours are on no other ports.
            let has_fdb = found.kind == "vxlan" || found.bridged.isolated;
            self.names.insert(index, found.name.clone());
            self.take_link(found)?;
            self.contents(Some(index))?;
            if has_fdb {
                self.fdb(Some(index))?;
            }
        }
        self.routes()
    }

    fn take_link(&mut self, link: Link) -> Result<()> {
        if link.kind == "vxlan" {
            self.vxlans.insert(link.index);
        }
        let master = match link.master {
            Some(index) => self.name(index)?,
            None => None,
        };
        let far = if self.sees_far {
            pair::far_of(self.site, &link)?
        } else {
            None
        };
        self.observed.links.push(ObservedLink {
            peer_mtu: far.map(|far| far.mtu),
            peer_index: link.lower.filter(|_| link.kind == "veth"),
            // The loopback has no kind of its own.
            kind: if link.name == "lo" && link.kind.is_empty() {
                "loopback".to_owned()
            } else {
                link.kind
            },
            name: link.name,
            index: link.index,
            mac: format_mac(&link.mac),
            mtu: link.mtu,
            up: link.up,
            group: link.group,
            alias: link.alias,
            master,
            vni: link.vni,
            port: link.port.map(u32::from),
            local: link.local.map(|local| local.to_string()),
            quiet: link.bridged.quiet,
            isolated: link.bridged.isolated,
        });
        Ok(())
    }

    fn name(&mut self, index: u32) -> Result<Option<String>> {
        if !self.names.contains_key(&index)
            && let Some(link) = self.site.link_at(index)?
        {
            self.names.insert(index, link.name);
        }
        Ok(self.names.get(&index).cloned())
    }

    /// Addresses and neighbours, of all links or of one.
    fn contents(&mut self, index: Option<u32>) -> Result<()> {
        for (_, payload) in self.dump(&address::dump(index))? {
            if let Some((on, cidr)) = address::parse(&payload)
                && let Some(link) = self.of(index, on)?
            {
                let address = format_cidr(cidr);
                self.observed
                    .addresses
                    .push(ObservedAddress { link, address });
            }
        }
        for (_, payload) in self.dump(&neighbour::dump(index))? {
            if let Some(found) = neighbour::parse(&payload)
                && let Some(link) = self.of(index, found.index)?
                && let Some(address) = found.destination
            {
                self.observed.neighbours.push(ObservedNeighbour {
                    link,
                    address: address.to_string(),
                    mac: format_mac(&found.mac),
                    permanent: found.permanent,
                });
            }
        }
        Ok(())
    }

    /// All of them, whatever link they are on: one destination has one route.
    fn routes(&mut self) -> Result<()> {
        for family in FAMILIES {
            for (_, payload) in self.dump(&route::dump(family, None))? {
                if let Some(found) = route::parse(&payload) {
                    self.take_route(&found)?;
                }
            }
        }
        Ok(())
    }

    fn take_route(&mut self, found: &route::Found) -> Result<()> {
        let link = match found.index {
            Some(index) => self.name(index)?,
            None => None,
        };
        self.observed.routes.push(ObservedRoute {
            link,
            destination: format_cidr(found.destination),
            gateway: found.gateway.map(|gateway: IpAddr| gateway.to_string()),
            protocol: found.protocol,
        });
        Ok(())
    }

    /// The forwarding entries of VXLAN devices, and those that bridges were given; what they learn is theirs.
    fn fdb(&mut self, index: Option<u32>) -> Result<()> {
        for (_, payload) in self.dump(&neighbour::dump_fdb(index))? {
            if let Some(found) = neighbour::parse(&payload)
                && (if found.own {
                    self.vxlans.contains(&found.index)
                } else {
                    found.given
                })
                && let Some(link) = self.of(index, found.index)?
            {
                self.observed.fdb.push(ObservedFdb {
                    link,
                    mac: format_mac(&found.mac),
                    destination: found.destination.map(|ip| ip.to_string()),
                });
            }
        }
        Ok(())
    }

    /// The name behind an index, when that link was asked for.
    fn of(&mut self, wanted: Option<u32>, index: u32) -> Result<Option<String>> {
        match wanted {
            Some(wanted) if wanted != index => Ok(None),
            _ => self.name(index),
        }
    }

    /// ENOENT: the namespace has no such table yet. ENODEV: the link went away meanwhile.
    fn dump(&mut self, request: &Request) -> Result<Vec<Message>> {
        match self.site.socket.dump(request) {
            Err(error) if error.is(Errno::ENOENT) || error.is(Errno::ENODEV) => Ok(Vec::new()),
            outcome => outcome,
        }
    }
}

fn format_cidr(cidr: Cidr) -> String {
    format!("{}/{}", cidr.address, cidr.prefix)
}
