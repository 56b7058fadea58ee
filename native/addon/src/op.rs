//! What can be asked, and how it went, as JavaScript sees it.

use napi_derive::napi;

/// The far end of a veth pair.
#[napi(object, object_to_js = false)]
pub struct Peer {
    pub netns: String,
    pub name: String,
    pub mtu: u32,
    pub mac: Option<String>,
    /// A bridge in the peer's own namespace.
    pub master: Option<String>,
    pub up: bool,
}

/// One change. `netns` is `'switch'`, `'host'` or the absolute path of an nsfs file such as
/// `/proc/42/ns/net`. Creating what is there and deleting what is not are successes.
#[napi(
    discriminant = "op",
    discriminant_case = "camelCase",
    object_to_js = false
)]
pub enum Op {
    /// Makes a bridge: up, no STP, no forward delay, no multicast snooping, its MAC fixed.
    AddBridge {
        netns: String,
        name: String,
        mac: String,
        mtu: u32,
        /// At most 255 bytes, for whoever reads the link.
        alias: Option<String>,
    },
    /// Makes a VXLAN device that learns nothing, up, as a port of its bridge that learns nothing either, answers ARP and
    /// ND for what the bridge has neighbours of, and is isolated. Its UDP socket stays in the host's namespace. IPv6
    /// underlays need `local`.
    AddVxlan {
        netns: String,
        name: String,
        vni: u32,
        port: u32,
        mtu: u32,
        master: String,
        local: Option<String>,
    },
    /// Makes a veth pair in one message, the far end directly in its namespace under its final name.
    AddVeth {
        netns: String,
        name: String,
        mtu: u32,
        master: Option<String>,
        mac: Option<String>,
        up: bool,
        /// The near end exchanges no frames with other isolated ports of its bridge.
        isolated: Option<bool>,
        peer: Peer,
    },
    /// Sets what is given; an empty master is none.
    SetLink {
        netns: String,
        name: String,
        up: Option<bool>,
        mtu: Option<u32>,
        mac: Option<String>,
        master: Option<String>,
    },
    /// Sets a pair's far end, wherever somebody moved it and whatever he calls it: in the namespace `peer`, or still in the
    /// host. ENODEV where it is in neither. Its MTU; and of an address that it has the prefix length, while it is in use.
    SetPeer {
        netns: String,
        name: String,
        mtu: Option<u32>,
        address: Option<String>,
        peer: String,
    },
    /// Answers when the link is gone. An absent link or namespace is a success.
    DeleteLink { netns: String, name: String },
    /// Answers at once: the link is out of use and its name is free; it is deleted soon after.
    RetireLink { netns: String, name: String },
    /// `10.1.2.3/24`, `fd00::1/64` (usable at once: no duplicate address detection).
    AddAddress {
        netns: String,
        link: String,
        address: String,
    },
    DeleteAddress {
        netns: String,
        link: String,
        address: String,
    },
    /// Adds to the main table. A different route to the same destination is EEXIST, never replaced; with
    /// `ifAbsent` it is as good.
    AddRoute {
        netns: String,
        link: String,
        destination: String,
        gateway: Option<String>,
        if_absent: Option<bool>,
    },
    DeleteRoute {
        netns: String,
        link: String,
        destination: String,
        gateway: Option<String>,
    },
    /// A permanent neighbour; replaces what is there.
    AddNeighbour {
        netns: String,
        link: String,
        address: String,
        mac: String,
    },
    DeleteNeighbour {
        netns: String,
        link: String,
        address: String,
        mac: String,
    },
    /// Where a VXLAN device sends frames for a MAC, and that its bridge sends them to it: one remote; several, and the
    /// device only, for the all-zero MAC (flood) and group MACs. Without a destination: that a bridge sends frames for a
    /// MAC to this port.
    AddFdb {
        netns: String,
        link: String,
        mac: String,
        destination: Option<String>,
    },
    DeleteFdb {
        netns: String,
        link: String,
        mac: String,
        destination: Option<String>,
    },
    /// `key` is a path below `net/`, `net/ipv6/conf/default/disable_ipv6`. With `ifPresent` a missing one is a success.
    SetSysctl {
        netns: String,
        key: String,
        value: String,
        if_present: Option<bool>,
    },
    /// Gratuitous ARP or an unsolicited neighbour advertisement, to all on the network of a bridge in the switch; sent
    /// soon after, and nobody knows whether it arrived.
    Announce {
        netns: String,
        link: String,
        bridge: String,
        address: String,
    },
}

/// How far a batch came: every op before `done` has been applied.
#[napi(object, object_from_js = false)]
pub struct Applied {
    pub done: u32,
    pub failed: Option<Failure>,
}

/// The op that stopped a batch. Ops after it may have been applied where they went out in the same send
/// (consecutive ops on one namespace that make or delete no link); they are idempotent.
#[napi(object, object_from_js = false)]
pub struct Failure {
    pub index: u32,
    pub op: String,
    pub errno: i32,
    /// The errno's name; `EPANIC` for a contained panic.
    pub code: String,
    pub netns: Option<String>,
    pub link: Option<String>,
    /// The kernel's own words where it has some.
    pub message: String,
}

impl From<Peer> for weave_kernel::Peer {
    fn from(peer: Peer) -> Self {
        Self {
            netns: peer.netns,
            name: peer.name,
            mtu: peer.mtu,
            mac: peer.mac,
            master: peer.master,
            up: peer.up,
        }
    }
}

impl From<weave_kernel::Applied> for Applied {
    fn from(applied: weave_kernel::Applied) -> Self {
        Self {
            done: count(applied.done),
            failed: applied.failed.map(Into::into),
        }
    }
}

impl From<weave_kernel::Failure> for Failure {
    fn from(failure: weave_kernel::Failure) -> Self {
        Self {
            index: count(failure.index),
            op: failure.op.to_owned(),
            errno: failure.errno,
            code: failure.code,
            netns: failure.netns,
            link: failure.link,
            message: failure.message,
        }
    }
}

/// JavaScript arrays have at most 2^32 - 1 elements.
fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
