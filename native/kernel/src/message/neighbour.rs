//! RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH: neighbours, and the forwarding entries of a VXLAN device.

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

/// A group or all-zero MAC names a list of destinations, which the kernel only lets us append to
/// (replacing is EOPNOTSUPP); any other MAC has one destination.
pub fn add_fdb(index: u32, mac: Mac, destination: IpAddr) -> Request {
    let message = RouteNetlinkMessage::NewNeighbour(fdb(index, mac, destination));
    let is_list = mac == Mac::default() || mac[0] & 1 == 1;
    if is_list {
        Request::append(message)
    } else {
        Request::replace(message)
    }
}

pub fn delete_fdb(index: u32, mac: Mac, destination: IpAddr) -> Request {
    Request::change(RouteNetlinkMessage::DelNeighbour(fdb(
        index,
        mac,
        destination,
    )))
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

fn fdb(index: u32, mac: Mac, destination: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    // Without NTF_SELF the entry silently goes to the bridge that the device is a port of.
    message.header.flags = NeighbourFlags::Own;
    message.attributes = vec![
        NeighbourAttribute::LinkLayerAddress(mac.to_vec()),
        NeighbourAttribute::Destination(destination.into()),
    ];
    message
}
