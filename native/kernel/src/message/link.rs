//! RTM_NEWLINK, RTM_SETLINK, RTM_DELLINK, RTM_GETLINK.

use std::{
    net::IpAddr,
    os::fd::{AsRawFd, OwnedFd},
};

use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{
        BridgeStpState, InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind,
        InfoVeth, InfoVxlan, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage,
    },
};

use crate::{parse::Mac, request::Request};

/// What can be set on a link, existing or new.
#[derive(Debug, Clone, Default)]
pub struct Traits {
    pub up: Option<bool>,
    pub mtu: Option<u32>,
    pub mac: Option<Mac>,
    /// 0 is no master.
    pub master: Option<u32>,
    pub group: Option<u32>,
    pub alias: Option<String>,
}

/// How a link is a port of its bridge, where that is not as the kernel makes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Port {
    /// It learns no MACs from frames, and ARP and ND for known neighbours of the bridge are answered instead of flooded
    /// to it (BR_NEIGH_SUPPRESS).
    pub quiet: bool,
    /// It exchanges no frames with other isolated ports (BR_ISOLATED).
    pub isolated: bool,
}

pub struct Vxlan {
    pub vni: u32,
    pub port: u16,
    pub local: Option<IpAddr>,
}

/// The far end of a pair: where it appears, under which name, with what.
pub struct Far<'a> {
    pub netns: &'a OwnedFd,
    pub name: &'a str,
    pub traits: Traits,
}

pub fn add_bridge(name: &str, traits: &Traits) -> Request {
    let data = InfoData::Bridge(vec![
        InfoBridge::StpState(BridgeStpState::Disabled),
        InfoBridge::ForwardDelay(0),
        InfoBridge::MulticastSnooping(false),
    ]);
    Request::create(new(name, traits, InfoKind::Bridge, data))
}

/// For a socket in the namespace that keeps the UDP socket; the device appears in `netns`.
pub fn add_vxlan(name: &str, traits: &Traits, vxlan: &Vxlan, netns: &OwnedFd) -> Request {
    let mut data = vec![
        InfoVxlan::Id(vxlan.vni),
        InfoVxlan::Port(vxlan.port),
        InfoVxlan::Learning(false),
    ];
    data.extend(vxlan.local.map(|local| match local {
        IpAddr::V4(local) => InfoVxlan::Local(local),
        IpAddr::V6(local) => InfoVxlan::Local6(local),
    }));
    let mut message = described(name, traits, InfoKind::Vxlan, InfoData::Vxlan(data));
    message
        .attributes
        .push(LinkAttribute::NetNsFd(netns.as_raw_fd()));
    Request::create(RouteNetlinkMessage::NewLink(message))
}

/// One message for the pair. The far end cannot be up in it: `veth_open` of an end whose peer is not
/// there yet is ENOTCONN and the whole creation is rolled back.
pub fn add_veth(name: &str, traits: &Traits, far: &Far) -> Request {
    let mut peer = message(&far.traits);
    peer.attributes.extend(ONE_QUEUE);
    peer.attributes
        .push(LinkAttribute::IfName(far.name.to_owned()));
    peer.attributes
        .push(LinkAttribute::NetNsFd(far.netns.as_raw_fd()));
    let data = InfoData::Veth(InfoVeth::Peer(peer));
    let mut near = described(name, traits, InfoKind::Veth, data);
    near.attributes.extend(ONE_QUEUE);
    Request::create(RouteNetlinkMessage::NewLink(near))
}

/// What the kernel uses of a pair's queues unless told otherwise; it makes one for each possible CPU
/// (`veth_get_num_queues`), which takes a third of the whole creation on a machine with two.
const ONE_QUEUE: [LinkAttribute; 2] =
    [LinkAttribute::NumTxQueues(1), LinkAttribute::NumRxQueues(1)];

pub fn set(name: &str, traits: &Traits) -> Request {
    let mut message = message(traits);
    message
        .attributes
        .push(LinkAttribute::IfName(name.to_owned()));
    Request::change(RouteNetlinkMessage::SetLink(message))
}

pub fn set_index(index: u32, traits: &Traits) -> Request {
    let mut message = message(traits);
    message.header.index = index;
    Request::change(RouteNetlinkMessage::SetLink(message))
}

/// RTM_NEWLINK of a link that is there: RTM_SETLINK does not heed IFLA_INFO_SLAVE_DATA.
pub fn set_port(index: u32, port: Port) -> Request {
    let mut message = LinkMessage::default();
    message.header.index = index;
    let data = vec![
        InfoBridgePort::Learning(!port.quiet),
        InfoBridgePort::NeighSupress(port.quiet),
        // Gratuitous ARP and unsolicited NAs cross all the same, from Linux 6.19 on; older ones do not heed it.
        InfoBridgePort::NeighForwardGrat(port.quiet),
        InfoBridgePort::Isolated(port.isolated),
    ];
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(data)),
    ]));
    Request::change(RouteNetlinkMessage::NewLink(message))
}

/// A link chosen by index and given a name is thereby renamed.
pub fn rename(index: u32, name: &str) -> Request {
    let mut message = message(&Traits::default());
    message.header.index = index;
    message
        .attributes
        .push(LinkAttribute::IfName(name.to_owned()));
    Request::change(RouteNetlinkMessage::SetLink(message))
}

pub fn delete(name: &str) -> Request {
    delete_by(LinkAttribute::IfName(name.to_owned()))
}

/// All links of a group in one go: one RCU grace period for the lot.
pub fn delete_group(group: u32) -> Request {
    delete_by(LinkAttribute::Group(group))
}

fn delete_by(key: LinkAttribute) -> Request {
    let mut message = LinkMessage::default();
    message.attributes.push(key);
    Request::change(RouteNetlinkMessage::DelLink(message))
}

pub fn delete_index(index: u32) -> Request {
    let mut message = LinkMessage::default();
    message.header.index = index;
    Request::change(RouteNetlinkMessage::DelLink(message))
}

pub fn get(name: &str) -> Request {
    let mut message = without_statistics();
    message
        .attributes
        .push(LinkAttribute::IfName(name.to_owned()));
    Request::get(RouteNetlinkMessage::GetLink(message))
}

pub fn get_index(index: u32) -> Request {
    let mut message = without_statistics();
    message.header.index = index;
    Request::get(RouteNetlinkMessage::GetLink(message))
}

/// In a namespace that has a number here.
pub fn get_index_in(index: u32, netns: Option<i32>) -> Request {
    let mut message = without_statistics();
    message.header.index = index;
    message
        .attributes
        .extend(netns.map(LinkAttribute::IfNetnsId));
    Request::get(RouteNetlinkMessage::GetLink(message))
}

pub fn dump() -> Request {
    Request::dump(RouteNetlinkMessage::GetLink(without_statistics()))
}

fn without_statistics() -> LinkMessage {
    let mut message = LinkMessage::default();
    message
        .attributes
        .push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    message
}

fn new(name: &str, traits: &Traits, kind: InfoKind, data: InfoData) -> RouteNetlinkMessage {
    RouteNetlinkMessage::NewLink(described(name, traits, kind, data))
}

fn described(name: &str, traits: &Traits, kind: InfoKind, data: InfoData) -> LinkMessage {
    let mut message = message(traits);
    message
        .attributes
        .push(LinkAttribute::IfName(name.to_owned()));
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(kind),
        LinkInfo::Data(data),
    ]));
    message
}

fn message(traits: &Traits) -> LinkMessage {
    let mut message = LinkMessage::default();
    if let Some(up) = traits.up {
        message.header.change_mask = LinkFlags::Up;
        message.header.flags = if up {
            LinkFlags::Up
        } else {
            LinkFlags::empty()
        };
    }
    let attributes = &mut message.attributes;
    attributes.extend(traits.mtu.map(LinkAttribute::Mtu));
    attributes.extend(traits.mac.map(|mac| LinkAttribute::Address(mac.to_vec())));
    attributes.extend(traits.master.map(LinkAttribute::Controller));
    attributes.extend(traits.group.map(LinkAttribute::Group));
    attributes.extend(traits.alias.clone().map(LinkAttribute::IfAlias));
    message
}
