//! A link as the kernel describes it.

use std::net::IpAddr;

use netlink_packet_core::{NlasIterator, ParseableParametrized};
use netlink_packet_route::link::{
    InfoBridgePort, InfoData, InfoPortData, InfoVxlan, LinkAttribute, LinkFlags, LinkHeader,
    LinkInfo,
};

use crate::message::link::{Port, Traits};

/// Size of `struct ifinfomsg`.
const HEADER_LEN: usize = 16;
/// IFLA_ADDRESS, IFNAME, MTU, LINK, MASTER, LINKINFO, IFALIAS, GROUP, LINK_NETNSID.
const WANTED: [u16; 9] = [1, 3, 4, 5, 10, 18, 20, 27, 37];

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    pub name: String,
    pub index: u32,
    pub kind: String,
    pub mac: Vec<u8>,
    pub mtu: u32,
    pub up: bool,
    pub group: u32,
    pub alias: Option<String>,
    pub master: Option<u32>,
    /// IFLA_LINK: of a veth, the index of its peer.
    pub lower: Option<u32>,
    /// IFLA_LINK_NETNSID: where `lower` is, or where a VXLAN device keeps its socket, when that is elsewhere.
    pub lower_netns: Option<i32>,
    pub vni: Option<u32>,
    pub port: Option<u16>,
    pub local: Option<IpAddr>,
    /// Of its bridge, where it has one.
    pub bridged: Port,
}

impl Link {
    /// None for what is no link message. Attributes are decoded one by one, so that one which the
    /// decoder does not know (a newer kernel's, on someone else's link) costs only itself.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let header = LinkHeader::parse(payload).ok()?;
        let mut link = Self {
            index: header.index,
            up: header.flags.contains(LinkFlags::Up),
            ..Self::default()
        };
        for nla in NlasIterator::new(payload.get(HEADER_LEN..)?).flatten() {
            if WANTED.contains(&nla.kind())
                && let Ok(attribute) =
                    LinkAttribute::parse_with_param(&nla, header.interface_family)
            {
                link.take(attribute);
            }
        }
        Some(link)
    }

    fn take(&mut self, attribute: LinkAttribute) {
        match attribute {
            LinkAttribute::IfName(name) => self.name = name,
            LinkAttribute::Address(mac) => self.mac = mac,
            LinkAttribute::Mtu(mtu) => self.mtu = mtu,
            LinkAttribute::Link(index) => self.lower = Some(index),
            LinkAttribute::Controller(index) => self.master = Some(index),
            LinkAttribute::IfAlias(alias) => self.alias = Some(alias),
            LinkAttribute::Group(group) => self.group = group,
            LinkAttribute::LinkNetNsId(id) => self.lower_netns = Some(id),
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    self.describe(info);
                }
            }
            _ => {}
        }
    }

    fn describe(&mut self, info: LinkInfo) {
        match info {
            LinkInfo::Kind(kind) => self.kind = kind.to_string(),
            LinkInfo::Data(InfoData::Vxlan(data)) => {
                for attribute in data {
                    match attribute {
                        InfoVxlan::Id(vni) => self.vni = Some(vni),
                        InfoVxlan::Port(port) => self.port = Some(port),
                        InfoVxlan::Local(local) => self.local = Some(local.into()),
                        InfoVxlan::Local6(local) => self.local = Some(local.into()),
                        _ => {}
                    }
                }
            }
            LinkInfo::PortData(InfoPortData::BridgePort(data)) => {
                let has = |attribute| data.contains(&attribute);
                self.bridged = Port {
                    quiet: has(InfoBridgePort::NeighSupress(true))
                        && has(InfoBridgePort::Learning(false)),
                    isolated: has(InfoBridgePort::Isolated(true)),
                };
            }
            _ => {}
        }
    }

    /// What must still be set for the link to be as wanted.
    pub fn lacks(&self, wanted: &Traits) -> Option<Traits> {
        let lacks = Traits {
            up: wanted.up.filter(|up| *up != self.up),
            mtu: wanted.mtu.filter(|mtu| *mtu != self.mtu),
            mac: wanted.mac.filter(|mac| mac.as_slice() != self.mac),
            master: wanted
                .master
                .filter(|master| *master != self.master.unwrap_or(0)),
            group: wanted.group.filter(|group| *group != self.group),
            alias: wanted
                .alias
                .clone()
                .filter(|alias| Some(alias) != self.alias.as_ref()),
        };
        let complete = lacks.up.is_none()
            && lacks.mtu.is_none()
            && lacks.mac.is_none()
            && lacks.master.is_none()
            && lacks.group.is_none()
            && lacks.alias.is_none();
        (!complete).then_some(lacks)
    }
}
