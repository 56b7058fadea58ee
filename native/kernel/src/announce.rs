//! Telling the neighbours where an address is now: gratuitous ARP, or an unsolicited neighbour advertisement. Off the
//! worker's thread, as each is a broadcast to every port of a bridge; and without RTNL.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV6},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use nix::libc;
use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    error::{Error, Result},
    netns::{Netns, enter},
    parse::Mac,
};

#[allow(clippy::cast_possible_truncation)] // AF_PACKET is 17; sockaddr_ll is 20 bytes.
const AF_PACKET: libc::sa_family_t = libc::AF_PACKET as libc::sa_family_t;
#[allow(clippy::cast_possible_truncation)]
const SOCKADDR_LL_LEN: libc::socklen_t = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
const ETH_P_ARP: u16 = 0x0806;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// An address that `link` in `netns` has, on a network whose bridge in the switch is `bridge`.
pub struct Announcement {
    pub netns: Netns,
    pub link: u32,
    pub mac: Mac,
    pub bridge: u32,
    pub address: IpAddr,
}

/// Sends from one packet socket in the switch, held for good: closing one waits for an RCU grace period.
pub struct Announcer {
    packet: OwnedFd,
}

impl Announcer {
    /// To be called in the switch's namespace.
    pub fn open() -> Result<Self> {
        // Protocol 0: we only send, nothing is ever queued for us.
        // SAFETY: plain system call without pointers.
        let socket =
            unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error().into());
        }
        // SAFETY: the descriptor was just made and is nobody else's.
        let packet = unsafe { OwnedFd::from_raw_fd(socket) };
        Ok(Self { packet })
    }

    /// Moves the calling thread to the announcement's namespace where it has to.
    pub fn tell(&self, announcement: &Announcement) -> Result<()> {
        match announcement.address {
            // The bridge floods it to all its ports, its own sender included, who takes no notice.
            IpAddr::V4(address) => {
                self.transmit(announcement.bridge, &arp(announcement.mac, address))
            }
            // Its own sender would complain in the kernel's log, so that it has to come from inside.
            IpAddr::V6(address) => {
                enter(&announcement.netns)?;
                advertise(announcement.link, announcement.mac, address)
            }
        }
        .map_err(Error::from)
    }

    fn transmit(&self, index: u32, frame: &[u8]) -> io::Result<()> {
        // SAFETY: sockaddr_ll is plain data for which all zeroes are a value.
        let mut target: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        target.sll_family = AF_PACKET;
        target.sll_ifindex = i32::try_from(index).unwrap_or_default();
        // SAFETY: both pointers are to live values and go with their own lengths.
        let sent = unsafe {
            libc::sendto(
                self.packet.as_raw_fd(),
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
}

/// An ARP request for one's own address (RFC 5227's announcement).
fn arp(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(42);
    frame.extend([0xff; 6]);
    frame.extend(mac);
    frame.extend(ETH_P_ARP.to_be_bytes());
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(mac);
    frame.extend(address.octets());
    frame.extend(Mac::default());
    frame.extend(address.octets());
    frame
}

/// RFC 4861, 7.2.6, to all nodes, with the override flag. The kernel fills in the checksum.
fn advertise(link: u32, mac: Mac, address: Ipv6Addr) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
    socket.set_multicast_if_v6(link)?;
    socket.set_multicast_hops_v6(255)?;
    socket.set_multicast_loop_v6(false)?;
    socket.bind(&SocketAddrV6::new(address, 0, 0, link).into())?;
    let mut message = vec![136, 0, 0, 0, 0x20, 0, 0, 0];
    message.extend(address.octets());
    message.extend([2, 1]);
    message.extend(mac);
    socket.send_to(&message, &SocketAddrV6::new(ALL_NODES, 0, 0, link).into())?;
    Ok(())
}
