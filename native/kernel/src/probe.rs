//! Sockets that find out how large a packet may be.

use std::{
    net::SocketAddr,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

use nix::{
    libc::{self, c_int},
    sys::socket::{setsockopt, sockopt},
};
use socket2::{Domain, Socket, Type};

use crate::{
    error::{Error, Result},
    parse,
};

/// A UDP socket, bound, whose packets nobody may fragment; what the kernel believes of paths does not matter to it.
///
/// # Errors
/// EINVAL for what is no address or port, EADDRINUSE and EADDRNOTAVAIL.
pub fn probe_socket(address: &str, port: u32) -> Result<OwnedFd> {
    let address = SocketAddr::new(parse::ip("address", address)?, parse::port("port", port)?);
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    if address.is_ipv4() {
        let (level, option) = (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER);
        set(&socket, level, option, libc::IP_PMTUDISC_PROBE)?;
    } else {
        let level = libc::IPPROTO_IPV6;
        set(
            &socket,
            level,
            libc::IPV6_MTU_DISCOVER,
            libc::IPV6_PMTUDISC_PROBE,
        )?;
        // Or the kernel cuts what is too large for the link itself.
        set(&socket, level, libc::IPV6_DONTFRAG, 1)?;
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Whoever takes a socket over by its number, as libuv does, lets others have its port too (`SO_REUSEADDR`): no more.
///
/// # Errors
/// EBADF, ENOTSOCK.
pub fn keep_port(socket: RawFd) -> Result<()> {
    // SAFETY: it is used for this call only, and the kernel says so if it is not open.
    let socket = unsafe { BorrowedFd::borrow_raw(socket) };
    Ok(setsockopt(&socket, sockopt::ReuseAddr, &false)?)
}

fn set(socket: &Socket, level: c_int, option: c_int, value: c_int) -> Result<()> {
    #[allow(clippy::cast_possible_truncation)] // It is 4.
    let length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the pointer is to a live value, and `length` says how large it is.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            length,
        )
    };
    if outcome < 0 {
        return Err(Error::from(std::io::Error::last_os_error()));
    }
    Ok(())
}
