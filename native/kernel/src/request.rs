//! A message with its flags, encoded: what goes to the kernel.

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST,
    NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;

/// Where `struct nlmsghdr` has its sequence number.
const SEQUENCE: std::ops::Range<usize> = 8..12;
/// `NLMSG_ALIGNTO`
const ALIGNMENT: usize = 4;

#[derive(Debug, Clone)]
pub struct Request(Vec<u8>);

impl Request {
    /// Changes what exists; answered by an ACK.
    pub fn change(message: RouteNetlinkMessage) -> Self {
        Self::encode(message, NLM_F_ACK)
    }

    /// Creates; EEXIST when it is there.
    pub fn create(message: RouteNetlinkMessage) -> Self {
        Self::encode(message, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Creates, or overwrites what is there.
    pub fn replace(message: RouteNetlinkMessage) -> Self {
        Self::encode(message, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Creates beside what is there under the same key.
    pub fn append(message: RouteNetlinkMessage) -> Self {
        Self::encode(message, NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND)
    }

    /// Reads one object; answered by it.
    pub fn get(message: RouteNetlinkMessage) -> Self {
        Self::encode(message, 0)
    }

    pub fn dump(message: RouteNetlinkMessage) -> Self {
        Self::encode(message, NLM_F_DUMP)
    }

    fn encode(message: RouteNetlinkMessage, flags: u16) -> Self {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len().next_multiple_of(ALIGNMENT)];
        message.serialize(&mut bytes);
        Self(bytes)
    }

    /// Adds the message to a send.
    pub fn emit(&self, sequence: u32, send: &mut Vec<u8>) {
        let start = send.len();
        send.extend_from_slice(&self.0);
        send[start..][SEQUENCE].copy_from_slice(&sequence.to_ne_bytes());
    }
}
