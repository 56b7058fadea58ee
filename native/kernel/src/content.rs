//! Ops that change what is on a link, or a link that exists: each is one message, known beforehand.

use std::net::IpAddr;

use nix::errno::Errno;

use crate::{
    error::{Error, Result},
    message::{
        self, address,
        link::{self, Traits},
        neighbour,
        route::{self, Route},
    },
    op::Op,
    parse::{self, Mac},
    request::Request,
    site::Site,
};

pub struct Content {
    pub request: Request,
    /// Answers that mean that it is so already.
    tolerated: &'static [Errno],
    /// Of an IPv6 address: the link it is for.
    pub inet6_of: Option<String>,
    /// The route that must be there for EEXIST to mean that it is so already.
    route: Option<Route>,
    /// A deletion that goes after it.
    then: Option<Request>,
}

impl Content {
    pub fn new(request: Request) -> Self {
        Self {
            request,
            tolerated: &[],
            inet6_of: None,
            route: None,
            then: None,
        }
    }

    fn tolerating(mut self, errnos: &'static [Errno]) -> Self {
        self.tolerated = errnos;
        self
    }

    /// What the kernel's answer comes to.
    pub fn settle(&self, site: &mut Site, answer: Result<()>) -> Result<()> {
        let answer = match answer {
            Err(error) if self.tolerated.iter().any(|errno| error.is(*errno)) => Ok(()),
            Err(error) if error.is(Errno::EEXIST) => match &self.route {
                Some(route) if has_route(site, route)? => Ok(()),
                _ => Err(error),
            },
            answer => answer,
        };
        match (&answer, &self.then) {
            (Ok(()), Some(next)) => match site.socket.change(next) {
                Err(error) if NO_ENTRY.iter().any(|errno| error.is(*errno)) => Ok(()),
                answer => answer,
            },
            _ => answer,
        }
    }
}

/// The bridge has none for the MAC, or there is no bridge.
const NO_ENTRY: &[Errno] = &[Errno::ENOENT, Errno::EOPNOTSUPP, Errno::EINVAL];

pub fn is_content(op: &Op) -> bool {
    !matches!(
        op,
        Op::AddBridge(_)
            | Op::AddVxlan(_)
            | Op::AddVeth(_)
            | Op::SetPeer { .. }
            | Op::DeleteLink { .. }
            | Op::RetireLink { .. }
            | Op::SetSysctl { .. }
            | Op::Announce { .. }
    )
}

pub fn is_deletion(op: &Op) -> bool {
    matches!(
        op,
        Op::DeleteAddress { .. }
            | Op::DeleteRoute { .. }
            | Op::DeleteNeighbour { .. }
            | Op::DeleteFdb { .. }
    )
}

pub fn prepare(site: &mut Site, op: &Op) -> Result<Content> {
    match op {
        Op::SetLink {
            name,
            up,
            mtu,
            mac,
            master,
            ..
        } => {
            let name = parse::link_name("name", name)?;
            let mac = mac.as_deref().map(|mac| parse::mac("mac", mac));
            site.forget(name);
            let traits = Traits {
                up: *up,
                mtu: *mtu,
                mac: mac.transpose()?,
                master: site.master(master.as_deref())?,
                ..Traits::default()
            };
            Ok(Content::new(link::set(name, &traits)))
        }
        Op::AddAddress { link, address, .. } => {
            let cidr = parse::cidr("address", address)?;
            Ok(Content {
                inet6_of: cidr.address.is_ipv6().then(|| link.clone()),
                ..Content::new(address::add(on(site, link)?, cidr))
            })
        }
        Op::DeleteAddress { link, address, .. } => {
            let cidr = parse::cidr("address", address)?;
            let request = address::delete(on(site, link)?, cidr);
            Ok(Content::new(request).tolerating(&[Errno::EADDRNOTAVAIL]))
        }
        Op::AddRoute {
            link,
            destination,
            gateway,
            if_absent,
            ..
        } => {
            let route = route_on(site, link, destination, gateway.as_deref())?;
            let content = Content::new(route::add(&route));
            Ok(if *if_absent {
                content.tolerating(&[Errno::EEXIST])
            } else {
                Content {
                    route: Some(route),
                    ..content
                }
            })
        }
        Op::DeleteRoute {
            link,
            destination,
            gateway,
            ..
        } => {
            let route = route_on(site, link, destination, gateway.as_deref())?;
            Ok(Content::new(route::delete(&route)).tolerating(&[Errno::ESRCH]))
        }
        _ => prepare_neighbour(site, op),
    }
}

fn prepare_neighbour(site: &mut Site, op: &Op) -> Result<Content> {
    match op {
        Op::AddNeighbour {
            link, address, mac, ..
        } => {
            let (address, mac) = (parse::ip("address", address)?, parse::mac("mac", mac)?);
            Ok(Content::new(neighbour::add(on(site, link)?, address, mac)))
        }
        Op::DeleteNeighbour { link, address, .. } => {
            let address = parse::ip("address", address)?;
            let request = neighbour::delete(on(site, link)?, address);
            Ok(Content::new(request).tolerating(&[Errno::ENOENT]))
        }
        Op::AddFdb {
            link,
            mac,
            destination,
            ..
        } => {
            let (mac, to) = forwarding(mac, destination.as_deref())?;
            Ok(Content::new(neighbour::add_fdb(on(site, link)?, mac, to)))
        }
        Op::DeleteFdb {
            link,
            mac,
            destination,
            ..
        } => {
            let (mac, to) = forwarding(mac, destination.as_deref())?;
            let index = on(site, link)?;
            let of_bridge = neighbour::delete_bridge_fdb(index, mac);
            let Some(to) = to else {
                return Ok(Content::new(of_bridge).tolerating(NO_ENTRY));
            };
            // In one message, with NTF_SELF and NTF_MASTER, the device would keep its own where its bridge has none.
            let content = Content::new(neighbour::delete_fdb(index, mac, to));
            Ok(Content {
                then: (!neighbour::is_list(mac)).then_some(of_bridge),
                ..content.tolerating(&[Errno::ENOENT])
            })
        }
        _ => Err(Errno::EOPNOTSUPP.into()),
    }
}

fn forwarding(mac: &str, destination: Option<&str>) -> Result<(Mac, Option<IpAddr>)> {
    let mac = parse::mac("mac", mac)?;
    let destination = destination.map(|text| parse::ip("destination", text));
    let destination = destination.transpose()?;
    if destination.is_none() && neighbour::is_list(mac) {
        return Err(Error::invalid(
            "destination",
            "a list of destinations takes one".to_owned(),
        ));
    }
    Ok((mac, destination))
}

fn on(site: &mut Site, link: &str) -> Result<u32> {
    site.index(parse::link_name("link", link)?)
}

fn route_on(
    site: &mut Site,
    link: &str,
    destination: &str,
    gateway: Option<&str>,
) -> Result<Route> {
    let destination = parse::cidr("destination", destination)?;
    let gateway = parse::gateway(destination, gateway)?;
    Ok(Route {
        index: on(site, link)?,
        destination,
        gateway,
    })
}

fn has_route(site: &mut Site, wanted: &Route) -> Result<bool> {
    let family = message::family(wanted.destination.address);
    let routes = site.socket.dump(&route::dump(family, Some(wanted.index)))?;
    Ok(routes
        .iter()
        .filter_map(|(_, payload)| route::parse(payload))
        .any(|found| found.is(wanted)))
}
