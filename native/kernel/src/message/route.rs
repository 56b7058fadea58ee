//! RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE in the main table.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::Parseable;
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    route::{
        RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope,
        RouteType,
    },
};

use super::family;
use crate::{parse::Cidr, request::Request};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    pub index: u32,
    pub destination: Cidr,
    pub gateway: Option<IpAddr>,
}

/// NLM_F_EXCL on purpose: replacing would take a route of someone else's, and without it the route would go in before theirs.
pub fn add(route: &Route) -> Request {
    let mut message = message(route);
    message.header.protocol = RouteProtocol::Static;
    message.header.kind = RouteType::Unicast;
    message.header.scope = match (route.destination.address, route.gateway) {
        (IpAddr::V4(_), None) => RouteScope::Link,
        _ => RouteScope::Universe,
    };
    Request::create(RouteNetlinkMessage::NewRoute(message))
}

pub fn delete(route: &Route) -> Request {
    let mut message = message(route);
    // RT_SCOPE_NOWHERE matches any scope.
    message.header.scope = RouteScope::NoWhere;
    Request::change(RouteNetlinkMessage::DelRoute(message))
}

/// The main table of a family, or what leaves it by one link.
pub fn dump(family: AddressFamily, index: Option<u32>) -> Request {
    let mut message = RouteMessage::default();
    message.header.address_family = family;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.attributes.extend(index.map(RouteAttribute::Oif));
    Request::dump(RouteNetlinkMessage::GetRoute(message))
}

/// A route as found; one with several next hops has neither a link nor a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub destination: Cidr,
    pub index: Option<u32>,
    pub gateway: Option<IpAddr>,
    pub protocol: u8,
}

impl Found {
    pub fn is(&self, wanted: &Route) -> bool {
        self.index == Some(wanted.index)
            && self.destination == wanted.destination
            && self.gateway == wanted.gateway
    }
}

/// None for what is not a unicast route of the main table.
pub fn parse(payload: &[u8]) -> Option<Found> {
    let message = RouteMessage::parse(payload).ok()?;
    let header = &message.header;
    if header.table != RouteHeader::RT_TABLE_MAIN || header.kind != RouteType::Unicast {
        return None;
    }
    let unspecified = match header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let mut found = Found {
        destination: Cidr {
            address: unspecified,
            prefix: header.destination_prefix_length,
        },
        index: None,
        gateway: None,
        protocol: header.protocol.into(),
    };
    for attribute in message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => found.destination.address = ip(&address)?,
            RouteAttribute::Gateway(address) => found.gateway = ip(&address),
            RouteAttribute::Oif(index) => found.index = Some(index),
            _ => {}
        }
    }
    Some(found)
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

fn message(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(route.destination.address);
    message.header.destination_prefix_length = route.destination.prefix;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    if route.destination.prefix > 0 {
        message.attributes.push(RouteAttribute::Destination(
            route.destination.address.into(),
        ));
    }
    message.attributes.push(RouteAttribute::Oif(route.index));
    message.attributes.extend(
        route
            .gateway
            .map(|gateway| RouteAttribute::Gateway(gateway.into())),
    );
    message
}
