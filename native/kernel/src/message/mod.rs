//! Values to netlink messages and back. Pure: nothing here talks to the kernel.

pub mod address;
pub mod link;
pub mod neighbour;
pub mod nsid;
pub mod route;

use std::net::IpAddr;

use netlink_packet_route::AddressFamily;

pub fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}
