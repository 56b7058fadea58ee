//! RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR.

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::Parseable;
use netlink_packet_route::{
    RouteNetlinkMessage,
    address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage},
};

use super::family;
use crate::{parse::Cidr, request::Request};

pub fn add(index: u32, cidr: Cidr) -> Request {
    let mut message = message(index, cidr);
    match cidr.address {
        IpAddr::V4(address) => {
            message
                .attributes
                .extend(broadcast(address, cidr.prefix).map(AddressAttribute::Broadcast));
        }
        IpAddr::V6(_) => {
            // Without IFA_F_NODAD the address is tentative for 1 to 1.5 s; uniqueness is ours to keep.
            message.header.flags = AddressHeaderFlags::Nodad;
            message
                .attributes
                .push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
    }
    Request::replace(RouteNetlinkMessage::NewAddress(message))
}

pub fn delete(index: u32, cidr: Cidr) -> Request {
    Request::change(RouteNetlinkMessage::DelAddress(message(index, cidr)))
}

/// All addresses, or those of one link.
pub fn dump(index: Option<u32>) -> Request {
    let mut message = AddressMessage::default();
    message.header.index = index.unwrap_or(0);
    Request::dump(RouteNetlinkMessage::GetAddress(message))
}

/// The link and the address. Nothing of one that has a lifetime: it is of DHCP or SLAAC, never ours.
pub fn parse(payload: &[u8]) -> Option<(u32, Cidr)> {
    let message = AddressMessage::parse(payload).ok()?;
    if !message.header.flags.contains(AddressHeaderFlags::Permanent) {
        return None;
    }
    let mut local = None;
    let mut address = None;
    for attribute in message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(ip),
            AddressAttribute::Address(ip) => address = Some(ip),
            _ => {}
        }
    }
    let cidr = Cidr {
        // IFA_ADDRESS is the far end of a point-to-point link; IPv6 sends no IFA_LOCAL.
        address: local.or(address)?,
        prefix: message.header.prefix_len,
    };
    Some((message.header.index, cidr))
}

fn message(index: u32, cidr: Cidr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(cidr.address);
    message.header.prefix_len = cidr.prefix;
    message.header.index = index;
    message.attributes = vec![
        AddressAttribute::Local(cidr.address),
        AddressAttribute::Address(cidr.address),
    ];
    message
}

/// A /31 and a /32 have none.
fn broadcast(address: Ipv4Addr, prefix: u8) -> Option<Ipv4Addr> {
    let host_bits = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
    (prefix < 31).then(|| Ipv4Addr::from_bits(address.to_bits() | host_bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcast_is_the_last_address_of_a_prefix_that_has_one() {
        let address = Ipv4Addr::new(10, 1, 2, 3);
        assert_eq!(broadcast(address, 24), Some(Ipv4Addr::new(10, 1, 2, 255)));
        assert_eq!(broadcast(address, 0), Some(Ipv4Addr::BROADCAST));
        assert_eq!(broadcast(address, 31), None);
        assert_eq!(broadcast(address, 32), None);
    }
}
