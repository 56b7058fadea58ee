//! What is read, as JavaScript sees it.

use napi_derive::napi;

/// What to read: everything in a namespace, or only the links named, with their addresses, neighbours and
/// forwarding entries; routes all the same. Links and sysctls that are absent are simply not in the answer.
#[napi(object, object_to_js = false)]
pub struct Query {
    pub netns: String,
    pub links: Option<Vec<String>>,
    /// Keys below `/proc/sys/net`, written `net/…`.
    pub sysctls: Option<Vec<String>>,
}

#[napi(object, object_from_js = false)]
pub struct ObservedLink {
    pub name: String,
    pub index: u32,
    /// `veth`, `bridge`, `vxlan`, `loopback` and so on; empty when it has none.
    pub kind: String,
    pub mac: String,
    pub mtu: u32,
    pub up: bool,
    pub group: u32,
    pub alias: Option<String>,
    pub master: Option<String>,
    pub vni: Option<u32>,
    pub port: Option<u32>,
    /// Of a VXLAN device: the address on the underlay that it sends from.
    pub local: Option<String>,
    /// Of a veth: the index of its peer, in the peer's namespace.
    pub peer_index: Option<u32>,
    /// Of a bridge's port, where it is so: it learns no MACs, and ARP and ND for known neighbours are not flooded to it.
    pub quiet: Option<bool>,
    /// Of a bridge's port, where it is so: it exchanges no frames with other isolated ports.
    pub isolated: Option<bool>,
    /// Of a veth of the switch: the MTU of its peer, in whatever namespace that is.
    pub peer_mtu: Option<u32>,
}

#[napi(object, object_from_js = false)]
pub struct ObservedAddress {
    pub link: String,
    pub address: String,
}

/// A unicast route of the main table.
#[napi(object, object_from_js = false)]
pub struct ObservedRoute {
    /// Absent for a route with several next hops.
    pub link: Option<String>,
    pub destination: String,
    pub gateway: Option<String>,
    /// `RTPROT_*`: 2 is the kernel's own, 4 (static) is what `addRoute` makes.
    pub protocol: u32,
}

#[napi(object, object_from_js = false)]
pub struct ObservedNeighbour {
    pub link: String,
    pub address: String,
    pub mac: String,
    pub permanent: bool,
}

/// A forwarding entry of a VXLAN device; without a destination, one that the bridge of this port was given.
#[napi(object, object_from_js = false)]
pub struct ObservedFdb {
    pub link: String,
    pub mac: String,
    pub destination: Option<String>,
}

#[napi(object, object_from_js = false)]
pub struct ObservedSysctl {
    pub key: String,
    pub value: String,
}

/// The answer to one query. When the namespace could not be read, `errno` and `code` say why
/// (`ENOENT`: it is gone) and the lists are empty.
#[napi(object, object_from_js = false)]
pub struct Observed {
    pub netns: String,
    pub errno: Option<i32>,
    pub code: Option<String>,
    pub links: Vec<ObservedLink>,
    pub addresses: Vec<ObservedAddress>,
    pub routes: Vec<ObservedRoute>,
    pub neighbours: Vec<ObservedNeighbour>,
    pub fdb: Vec<ObservedFdb>,
    pub sysctls: Vec<ObservedSysctl>,
}

impl From<Query> for weave_kernel::Query {
    fn from(query: Query) -> Self {
        Self {
            netns: query.netns,
            links: query.links,
            sysctls: query.sysctls.unwrap_or_default(),
        }
    }
}

impl From<weave_kernel::ObservedLink> for ObservedLink {
    fn from(link: weave_kernel::ObservedLink) -> Self {
        Self {
            name: link.name,
            index: link.index,
            kind: link.kind,
            mac: link.mac,
            mtu: link.mtu,
            up: link.up,
            group: link.group,
            alias: link.alias,
            master: link.master,
            vni: link.vni,
            port: link.port,
            local: link.local,
            peer_index: link.peer_index,
            quiet: link.quiet.then_some(true),
            isolated: link.isolated.then_some(true),
            peer_mtu: link.peer_mtu,
        }
    }
}

impl From<weave_kernel::Observed> for Observed {
    fn from(observed: weave_kernel::Observed) -> Self {
        Self {
            netns: observed.netns,
            errno: observed.errno,
            code: observed.code,
            links: observed.links.into_iter().map(Into::into).collect(),
            addresses: each(observed.addresses, |found| ObservedAddress {
                link: found.link,
                address: found.address,
            }),
            routes: each(observed.routes, |found| ObservedRoute {
                link: found.link,
                destination: found.destination,
                gateway: found.gateway,
                protocol: found.protocol.into(),
            }),
            neighbours: each(observed.neighbours, |found| ObservedNeighbour {
                link: found.link,
                address: found.address,
                mac: found.mac,
                permanent: found.permanent,
            }),
            fdb: each(observed.fdb, |found| ObservedFdb {
                link: found.link,
                mac: found.mac,
                destination: found.destination,
            }),
            sysctls: each(observed.sysctls, |found| ObservedSysctl {
                key: found.key,
                value: found.value,
            }),
        }
    }
}

fn each<I, O>(items: Vec<I>, convert: fn(I) -> O) -> Vec<O> {
    items.into_iter().map(convert).collect()
}

/// What may have been lost since the last time, by whosever doing: not what was added, nor how else a link is set.
#[napi(object, object_from_js = false)]
pub struct Changed {
    /// Links of the switch that came, went or are down; or something went from them, or from the far ends of their pairs.
    pub links: Vec<String>,
    /// `host`, `switch`: their packet filter was changed.
    pub filters: Vec<String>,
    /// Notifications were lost: anything may have changed.
    pub lost: bool,
}

impl From<weave_kernel::Changed> for Changed {
    fn from(changed: weave_kernel::Changed) -> Self {
        Self {
            links: changed.links.into_iter().collect(),
            filters: changed.filters.into_iter().map(str::to_owned).collect(),
            lost: changed.lost,
        }
    }
}
