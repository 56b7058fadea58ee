//! RTM_GETNSID: the number under which one namespace knows another.

use std::os::fd::{AsRawFd, OwnedFd};

use netlink_packet_core::Parseable;
use netlink_packet_route::{
    RouteNetlinkMessage,
    nsid::{NsidAttribute, NsidMessage},
};

use crate::request::Request;

pub fn get(netns: &OwnedFd) -> Request {
    let mut message = NsidMessage::default();
    message
        .attributes
        .push(NsidAttribute::Fd(netns.as_raw_fd().unsigned_abs()));
    Request::get(RouteNetlinkMessage::GetNsId(message))
}

/// None when it has no number there, as the namespace itself has none.
pub fn parse(payload: &[u8]) -> Option<i32> {
    let message = NsidMessage::parse(payload).ok()?;
    message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            NsidAttribute::Id(id) if *id >= 0 => Some(*id),
            _ => None,
        })
}
