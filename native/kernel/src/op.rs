//! The vocabulary: what can be asked of the kernel and what comes back. Plain data; nothing is checked here.

use crate::error::Error;

/// `ip link add NAME address MAC mtu MTU alias ALIAS up type bridge stp_state 0 forward_delay 0 mcast_snooping 0`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bridge {
    pub netns: String,
    pub name: String,
    pub mac: String,
    pub mtu: u32,
    pub alias: Option<String>,
}

/// `ip link add NAME netns NETNS mtu MTU master MASTER up type vxlan id VNI dstport PORT local LOCAL nolearning`,
/// made from the host's namespace, where its UDP socket stays; then
/// `ip link set NAME type bridge_slave learning off neigh_suppress on isolated on`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vxlan {
    pub netns: String,
    pub name: String,
    pub vni: u32,
    pub port: u32,
    pub mtu: u32,
    pub master: String,
    pub local: Option<String>,
}

/// `ip link add NAME mtu MTU master MASTER up type veth peer name PEER netns PEERNS`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Veth {
    pub netns: String,
    pub name: String,
    pub mtu: u32,
    pub master: Option<String>,
    pub mac: Option<String>,
    pub up: bool,
    /// `bridge link set NAME isolated on`: it exchanges no frames with other isolated ports of its bridge.
    pub isolated: bool,
    pub peer: Peer,
}

/// The far end of a veth pair, created directly in its own namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    pub netns: String,
    pub name: String,
    pub mtu: u32,
    pub mac: Option<String>,
    /// A bridge in the peer's own namespace.
    pub master: Option<String>,
    pub up: bool,
}

/// Each op is idempotent: creating what is there and deleting what is not are successes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    AddBridge(Bridge),
    AddVxlan(Vxlan),
    AddVeth(Veth),
    /// `ip link set NAME …`; an empty master is `nomaster`.
    SetLink {
        netns: String,
        name: String,
        up: Option<bool>,
        mtu: Option<u32>,
        mac: Option<String>,
        master: Option<String>,
    },
    /// A pair's other end, wherever it was moved and however it is called: in `peer`, or still in the host. Its MTU; and
    /// the prefix length of an address, where it has that address with another one.
    SetPeer {
        netns: String,
        name: String,
        mtu: Option<u32>,
        address: Option<String>,
        peer: String,
    },
    /// `ip link del NAME`; answers when the link is gone.
    DeleteLink {
        netns: String,
        name: String,
    },
    /// `ip link set NAME nomaster group REAP name …`; the reaper deletes the group soon after.
    RetireLink {
        netns: String,
        name: String,
    },
    /// `ip addr replace ADDRESS dev LINK nodad`
    AddAddress {
        netns: String,
        link: String,
        address: String,
    },
    /// `ip addr del ADDRESS dev LINK`
    DeleteAddress {
        netns: String,
        link: String,
        address: String,
    },
    /// `ip route add DESTINATION via GATEWAY dev LINK`; `if_absent`: any route there is as good.
    AddRoute {
        netns: String,
        link: String,
        destination: String,
        gateway: Option<String>,
        if_absent: bool,
    },
    /// `ip route del DESTINATION via GATEWAY dev LINK`
    DeleteRoute {
        netns: String,
        link: String,
        destination: String,
        gateway: Option<String>,
    },
    /// `ip neigh replace ADDRESS lladdr MAC dev LINK nud permanent`
    AddNeighbour {
        netns: String,
        link: String,
        address: String,
        mac: String,
    },
    /// `ip neigh del ADDRESS dev LINK`
    DeleteNeighbour {
        netns: String,
        link: String,
        address: String,
        mac: String,
    },
    /// `bridge fdb replace MAC dev LINK dst DESTINATION self master extern_learn`; `append … self` for the flood entry
    /// and for groups; `bridge fdb replace MAC dev LINK master extern_learn` without a destination.
    AddFdb {
        netns: String,
        link: String,
        mac: String,
        destination: Option<String>,
    },
    /// `bridge fdb del MAC dev LINK dst DESTINATION self`, then `… master`; only that without a destination.
    DeleteFdb {
        netns: String,
        link: String,
        mac: String,
        destination: Option<String>,
    },
    /// `sysctl -w KEY=VALUE`
    SetSysctl {
        netns: String,
        key: String,
        value: String,
        if_present: bool,
    },
    /// `arping -U ADDRESS -I LINK`, or the unsolicited neighbour advertisement of IPv6, on the network of a BRIDGE in
    /// the switch; sent soon after, by another thread.
    Announce {
        netns: String,
        link: String,
        bridge: String,
        address: String,
    },
}

impl Op {
    #[must_use]
    pub fn tag(&self) -> &'static str {
        match self {
            Self::AddBridge(_) => "addBridge",
            Self::AddVxlan(_) => "addVxlan",
            Self::AddVeth(_) => "addVeth",
            Self::SetLink { .. } => "setLink",
            Self::SetPeer { .. } => "setPeer",
            Self::DeleteLink { .. } => "deleteLink",
            Self::RetireLink { .. } => "retireLink",
            Self::AddAddress { .. } => "addAddress",
            Self::DeleteAddress { .. } => "deleteAddress",
            Self::AddRoute { .. } => "addRoute",
            Self::DeleteRoute { .. } => "deleteRoute",
            Self::AddNeighbour { .. } => "addNeighbour",
            Self::DeleteNeighbour { .. } => "deleteNeighbour",
            Self::AddFdb { .. } => "addFdb",
            Self::DeleteFdb { .. } => "deleteFdb",
            Self::SetSysctl { .. } => "setSysctl",
            Self::Announce { .. } => "announce",
        }
    }

    #[must_use]
    pub fn netns(&self) -> &str {
        match self {
            Self::AddBridge(Bridge { netns, .. })
            | Self::AddVxlan(Vxlan { netns, .. })
            | Self::AddVeth(Veth { netns, .. })
            | Self::SetLink { netns, .. }
            | Self::SetPeer { netns, .. }
            | Self::DeleteLink { netns, .. }
            | Self::RetireLink { netns, .. }
            | Self::AddAddress { netns, .. }
            | Self::DeleteAddress { netns, .. }
            | Self::AddRoute { netns, .. }
            | Self::DeleteRoute { netns, .. }
            | Self::AddNeighbour { netns, .. }
            | Self::DeleteNeighbour { netns, .. }
            | Self::AddFdb { netns, .. }
            | Self::DeleteFdb { netns, .. }
            | Self::SetSysctl { netns, .. }
            | Self::Announce { netns, .. } => netns,
        }
    }

    /// The link the op is about; a sysctl is about none.
    #[must_use]
    pub fn link(&self) -> Option<&str> {
        match self {
            Self::AddBridge(Bridge { name, .. })
            | Self::AddVxlan(Vxlan { name, .. })
            | Self::AddVeth(Veth { name, .. })
            | Self::SetLink { name, .. }
            | Self::SetPeer { name, .. }
            | Self::DeleteLink { name, .. }
            | Self::RetireLink { name, .. } => Some(name),
            Self::AddAddress { link, .. }
            | Self::DeleteAddress { link, .. }
            | Self::AddRoute { link, .. }
            | Self::DeleteRoute { link, .. }
            | Self::AddNeighbour { link, .. }
            | Self::DeleteNeighbour { link, .. }
            | Self::AddFdb { link, .. }
            | Self::DeleteFdb { link, .. }
            | Self::Announce { link, .. } => Some(link),
            Self::SetSysctl { .. } => None,
        }
    }
}

/// What to read: a whole namespace, or only the links named with what hangs on them and all routes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pub netns: String,
    pub links: Option<Vec<String>>,
    /// Keys below `/proc/sys` whose values are wanted too.
    pub sysctls: Vec<String>,
}

/// How far one batch came. Every op before `done` has been applied; see [`Failure`] for those after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    pub done: usize,
    pub failed: Option<Failure>,
}

/// The op that stopped a batch. Ops after it in the same send may have been applied: the kernel treats the
/// messages of one send independently. They are idempotent, so that applying the batch again is safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub index: usize,
    pub op: &'static str,
    pub errno: i32,
    pub code: String,
    pub netns: Option<String>,
    pub link: Option<String>,
    pub message: String,
}

impl Failure {
    pub(crate) fn new(index: usize, op: &Op, error: Error) -> Self {
        Self {
            index,
            op: op.tag(),
            errno: error.errno,
            code: error.code,
            netns: error.netns.or_else(|| Some(op.netns().to_owned())),
            link: error.link.or_else(|| op.link().map(ToOwned::to_owned)),
            message: error.message,
        }
    }
}
