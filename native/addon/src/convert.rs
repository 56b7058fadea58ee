//! The ops as JavaScript gave them, as the kernel crate has them: field by field.

use crate::op::Op;

// One arm for each op is the whole of it.
#[allow(clippy::too_many_lines)]
impl From<Op> for weave_kernel::Op {
    fn from(op: Op) -> Self {
        match op {
            Op::AddBridge {
                netns,
                name,
                mac,
                mtu,
                alias,
            } => Self::AddBridge(weave_kernel::Bridge {
                netns,
                name,
                mac,
                mtu,
                alias,
            }),
            Op::AddVxlan {
                netns,
                name,
                vni,
                port,
                mtu,
                master,
                local,
            } => Self::AddVxlan(weave_kernel::Vxlan {
                netns,
                name,
                vni,
                port,
                mtu,
                master,
                local,
            }),
            Op::AddVeth {
                netns,
                name,
                mtu,
                master,
                mac,
                up,
                isolated,
                peer,
            } => Self::AddVeth(weave_kernel::Veth {
                netns,
                name,
                mtu,
                master,
                mac,
                up,
                isolated: isolated.unwrap_or_default(),
                peer: peer.into(),
            }),
            Op::SetLink {
                netns,
                name,
                up,
                mtu,
                mac,
                master,
            } => Self::SetLink {
                netns,
                name,
                up,
                mtu,
                mac,
                master,
            },
            Op::SetPeer {
                netns,
                name,
                mtu,
                address,
                peer,
            } => Self::SetPeer {
                netns,
                name,
                mtu,
                address,
                peer,
            },
            Op::DeleteLink { netns, name } => Self::DeleteLink { netns, name },
            Op::RetireLink { netns, name } => Self::RetireLink { netns, name },
            Op::AddAddress {
                netns,
                link,
                address,
            } => Self::AddAddress {
                netns,
                link,
                address,
            },
            Op::DeleteAddress {
                netns,
                link,
                address,
            } => Self::DeleteAddress {
                netns,
                link,
                address,
            },
            Op::AddRoute {
                netns,
                link,
                destination,
                gateway,
                if_absent,
            } => Self::AddRoute {
                netns,
                link,
                destination,
                gateway,
                if_absent: if_absent.unwrap_or(false),
            },
            Op::DeleteRoute {
                netns,
                link,
                destination,
                gateway,
            } => Self::DeleteRoute {
                netns,
                link,
                destination,
                gateway,
            },
            Op::AddNeighbour {
                netns,
                link,
                address,
                mac,
            } => Self::AddNeighbour {
                netns,
                link,
                address,
                mac,
            },
            Op::DeleteNeighbour {
                netns,
                link,
                address,
                mac,
            } => Self::DeleteNeighbour {
                netns,
                link,
                address,
                mac,
            },
            Op::AddFdb {
                netns,
                link,
                mac,
                destination,
            } => Self::AddFdb {
                netns,
                link,
                mac,
                destination,
            },
            Op::DeleteFdb {
                netns,
                link,
                mac,
                destination,
            } => Self::DeleteFdb {
                netns,
                link,
                mac,
                destination,
            },
            Op::SetSysctl {
                netns,
                key,
                value,
                if_present,
            } => Self::SetSysctl {
                netns,
                key,
                value,
                if_present: if_present.unwrap_or(false),
            },
            Op::Announce {
                netns,
                link,
                bridge,
                address,
            } => Self::Announce {
                netns,
                link,
                bridge,
                address,
            },
        }
    }
}
