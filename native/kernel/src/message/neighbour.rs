//! RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH: neighbours, and the forwarding entries of a VXLAN device and of its bridge.

use std::net::IpAddr;

use netlink_packet_core::Parseable;
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    neighbour::{
        NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
    },
};

use super::family;
use crate::{parse::Mac, request::Request};

pub fn add(index: u32, address: IpAddr, mac: Mac) -> Request {
    let mut message = neighbour(index, address);
    message.header.state = NeighbourState::Permanent;
    message
        .attributes
        .push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
    Request::replace(RouteNetlinkMessage::NewNeighbour(message))
}

pub fn delete(index: u32, address: IpAddr) -> Request {
    Request::change(RouteNetlinkMessage::DelNeighbour(neighbour(index, address)))
}

/// Of a VXLAN device, and of the bridge that it is a port of: or known unicast would be flooded there. Without a
/// destination of the bridge alone, on any port of it.
///
/// A group or all-zero MAC names a list of destinations, which the kernel only lets us append to
/// (replacing is EOPNOTSUPP); any other MAC has one destination.
pub fn add_fdb(index: u32, mac: Mac, destination: Option<IpAddr>) -> Request {
    if is_list(mac) {
        let message = fdb(index, mac, destination, NeighbourFlags::Own);
        return Request::append(RouteNetlinkMessage::NewNeighbour(message));
    }
    // Learned outside (NTF_EXT_LEARNED): the bridge neither ages it nor takes the MAC for its own (BR_FDB_LOCAL).
    let on_bridge = NeighbourFlags::Controller | NeighbourFlags::ExtLearned;
    let flags = match destination {
        Some(_) => NeighbourFlags::Own | on_bridge,
        None => on_bridge,
    };
    let message = fdb(index, mac, destination, flags);
    Request::replace(RouteNetlinkMessage::NewNeighbour(message))
}

/// The device's entry.
pub fn delete_fdb(index: u32, mac: Mac, destination: IpAddr) -> Request {
    let message = fdb(index, mac, Some(destination), NeighbourFlags::Own);
    Request::change(RouteNetlinkMessage::DelNeighbour(message))
}

/// The entry of the bridge that it is a port of.
pub fn delete_bridge_fdb(index: u32, mac: Mac) -> Request {
    let message = fdb(index, mac, None, NeighbourFlags::Controller);
    Request::change(RouteNetlinkMessage::DelNeighbour(message))
}

pub fn is_list(mac: Mac) -> bool {
    mac == Mac::default() || mac[0] & 1 == 1
}

/// The neighbours of both families, of all links or of one.
pub fn dump(index: Option<u32>) -> Request {
    let mut message = NeighbourMessage::default();
    message
        .attributes
        .extend(index.map(NeighbourAttribute::IfIndex));
    Request::dump(RouteNetlinkMessage::GetNeighbour(message))
}

pub fn dump_fdb(index: Option<u32>) -> Request {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = index.unwrap_or(0);
    Request::dump(RouteNetlinkMessage::GetNeighbour(message))
}

pub struct Found {
    pub index: u32,
    pub mac: Vec<u8>,
    pub destination: Option<IpAddr>,
    pub permanent: bool,
    /// NTF_SELF: the device's own entry, not its bridge's.
    pub own: bool,
    /// NTF_EXT_LEARNED: put there by somebody, not learned from frames.
    pub given: bool,
}

/// None for what has no MAC, and for NUD_NOARP, which the kernel makes for itself.
pub fn parse(payload: &[u8]) -> Option<Found> {
    let message = NeighbourMessage::parse(payload).ok()?;
    let header = &message.header;
    let is_fdb = header.family == AddressFamily::Bridge;
    if header.state == NeighbourState::Noarp && !is_fdb {
        return None;
    }
    let mut mac = None;
    let mut destination = None;
    for attribute in message.attributes {
        match attribute {
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = Some(bytes),
            NeighbourAttribute::Destination(address) => destination = ip(&address),
            _ => {}
        }
    }
    Some(Found {
        index: header.ifindex,
        mac: mac.filter(|mac| mac.len() == Mac::default().len())?,
        destination,
        permanent: u16::from(header.state) & u16::from(NeighbourState::Permanent) != 0,
        own: header.flags.contains(NeighbourFlags::Own),
        given: header.flags.contains(NeighbourFlags::ExtLearned),
    })
}

/// An AF_BRIDGE entry's address comes undecoded: only its length tells the family.
fn ip(address: &NeighbourAddress) -> Option<IpAddr> {
    match address {
        NeighbourAddress::Inet(address) => Some((*address).into()),
        NeighbourAddress::Inet6(address) => Some((*address).into()),
        NeighbourAddress::Other(bytes) => <[u8; 4]>::try_from(bytes.as_slice())
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(bytes.as_slice()).map(IpAddr::from))
            .ok(),
        _ => None,
    }
}

fn neighbour(index: u32, address: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(address);
    message.header.ifindex = index;
    message
        .attributes
        .push(NeighbourAttribute::Destination(address.into()));
    message
}

/// Without NTF_SELF the entry silently goes to the bridge that the device is a port of.
fn fdb(
    index: u32,
    mac: Mac,
    destination: Option<IpAddr>,
    flags: NeighbourFlags,
) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    message.header.flags = flags;
    message
        .attributes
        .push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
    message
        .attributes
        .extend(destination.map(|ip| NeighbourAttribute::Destination(ip.into())));
    message
}
