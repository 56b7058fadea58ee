//! Telling the neighbours: a gratuitous ARP request, or an unsolicited neighbour advertisement with the override flag.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use nix::libc;

use crate::{
    error::{Error, Result},
    parse::Mac,
};

#[allow(clippy::cast_possible_truncation)] // AF_PACKET is 17; sockaddr_ll is 20 bytes.
const AF_PACKET: libc::sa_family_t = libc::AF_PACKET as libc::sa_family_t;
#[allow(clippy::cast_possible_truncation)]
const SOCKADDR_LL_LEN: libc::socklen_t = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
const ETH_P_ARP: u16 = 0x0806;
const ETH_P_IPV6: u16 = 0x86dd;
const ICMPV6: u8 = 58;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: Mac = [0x33, 0x33, 0, 0, 0, 1];
const BROADCAST_MAC: Mac = [0xff; 6];

/// Sends from the calling thread's namespace. The link must be up.
pub fn send(index: u32, mac: Mac, address: IpAddr) -> Result<()> {
    let frame = match address {
        IpAddr::V4(address) => arp(mac, address),
        IpAddr::V6(address) => advertisement(mac, address),
    };
    Ok(transmit(index, &frame)?)
}

fn transmit(index: u32, frame: &[u8]) -> io::Result<()> {
    // SAFETY: plain system call without pointers. Protocol 0: we only send, nothing is ever queued for us.
    let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and is nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: sockaddr_ll is plain data for which all zeroes are a value.
    let mut target: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    target.sll_family = AF_PACKET;
    target.sll_ifindex = i32::try_from(index).unwrap_or_default();
    // SAFETY: both pointers are to live values and go with their own lengths.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            frame.as_ptr().cast(),
            frame.len(),
            0,
            (&raw const target).cast(),
            SOCKADDR_LL_LEN,
        )
    };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// An ARP request for one's own address (RFC 5227's announcement).
fn arp(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    let mut frame = ethernet(BROADCAST_MAC, mac, ETH_P_ARP);
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(mac);
    frame.extend(address.octets());
    frame.extend(Mac::default());
    frame.extend(address.octets());
    frame
}

/// Header, target address and one option with the hardware address.
const ADVERTISEMENT_LEN: u8 = 8 + 16 + 8;

/// RFC 4861, 7.2.6, to all nodes.
fn advertisement(mac: Mac, address: Ipv6Addr) -> Vec<u8> {
    let mut message = vec![136, 0, 0, 0, 0x20, 0, 0, 0];
    message.extend(address.octets());
    message.extend([2, 1]);
    message.extend(mac);
    let sum = checksum(address, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());

    let mut frame = ethernet(ALL_NODES_MAC, mac, ETH_P_IPV6);
    frame.extend([0x60, 0, 0, 0, 0, ADVERTISEMENT_LEN, ICMPV6, 255]);
    frame.extend(address.octets());
    frame.extend(ALL_NODES.octets());
    frame.extend(message);
    frame
}

fn ethernet(to: Mac, from: Mac, protocol: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(96);
    frame.extend(to);
    frame.extend(from);
    frame.extend(protocol.to_be_bytes());
    frame
}

/// The Internet checksum over the pseudo header and the message.
fn checksum(from: Ipv6Addr, message: &[u8]) -> u16 {
    let mut covered = Vec::with_capacity(40 + message.len());
    covered.extend(from.octets());
    covered.extend(ALL_NODES.octets());
    covered.extend([0, 0, 0, ADVERTISEMENT_LEN]);
    covered.extend([0, 0, 0, ICMPV6]);
    covered.extend(message);
    let mut sum: u32 = covered
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

/// What the link sends from; only Ethernet has neighbours to tell.
pub fn hardware_address(mac: &[u8]) -> Result<Mac> {
    mac.try_into()
        .map_err(|_| Error::invalid("link", "has no Ethernet address"))
}
