//! Sockets that questions come in by.

use std::{io, net::SocketAddr, os::fd::AsRawFd};

use nix::libc::{self, c_int, sock_filter, sock_fprog};
use socket2::{Domain, Socket, Type};
use weave_kernel::{Error, Result, inside};

use crate::record::address;

/// How many sockets share an address, and so how many queues the kernel keeps for those who ask: a flood fills the one
/// that its source is in.
pub const QUEUES: usize = 32;
const BACKLOG: c_int = 128;

/// An address to answer at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// `host`, or a path.
    pub netns: String,
    pub address: SocketAddr,
}

impl Listen {
    /// # Errors
    /// EINVAL for what is no address.
    pub fn parse(netns: &str, ip: &str, port: u16) -> Result<Self> {
        Ok(Self {
            netns: netns.to_owned(),
            address: SocketAddr::new(address(ip)?, port),
        })
    }
}

/// What was opened for one.
pub struct Sockets {
    pub at: Listen,
    pub udp: Vec<Socket>,
    pub tcp: Socket,
}

/// Opens an address in its namespace; port 0 becomes one that is free for both transports.
pub fn open(listen: &Listen) -> Result<Sockets> {
    inside(&listen.netns, || {
        let tcp = tcp(listen.address)?;
        let address = tcp.local_addr()?.as_socket().unwrap_or(listen.address);
        let udp = (0..QUEUES)
            .map(|_| udp(address))
            .collect::<Result<Vec<_>>>()?;
        spread(&udp[0], address.is_ipv6())?;
        let at = Listen {
            address,
            ..listen.clone()
        };
        Ok(Sockets { at, udp, tcp })
    })
    .map_err(|error| Error {
        message: format!("{} in {}: {}", listen.address, listen.netns, error.message),
        ..error
    })
}

/// Nobody else's, as UDP's cannot be: it is what tells that another server is there.
fn tcp(address: SocketAddr) -> Result<Socket> {
    let socket = socket(address, Type::STREAM)?;
    // Connections of one before us may still be closing.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn udp(address: SocketAddr) -> Result<Socket> {
    let socket = socket(address, Type::DGRAM)?;
    socket.set_reuse_port(true)?;
    // Which of our addresses was asked, and by which link: the answer leaves from there.
    if address.is_ipv4() {
        set(&socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
        // An ICMP message that somebody made up does not make our packets smaller or fragments of them.
        let option = libc::IP_MTU_DISCOVER;
        set(&socket, libc::IPPROTO_IP, option, libc::IP_PMTUDISC_OMIT)?;
    } else {
        set(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn socket(address: SocketAddr, kind: Type) -> Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    socket.set_nonblocking(true)?;
    // The address may be given to a link later.
    if address.is_ipv4() {
        socket.set_freebind_v4(true)?;
    } else {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
    }
    Ok(socket)
}

/// Which of the sockets that share an address has a packet is told by where it comes from, not by its port.
fn spread(socket: &Socket, is_ipv6: bool) -> Result<()> {
    let mut program = by_source(is_ipv6);
    let filter = sock_fprog {
        #[allow(clippy::cast_possible_truncation)] // A dozen.
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    attach(
        socket,
        libc::SOL_SOCKET,
        libc::SO_ATTACH_REUSEPORT_CBPF,
        &filter,
    )
}

/// The source address, and a number that nobody can know, mixed: modulo [`QUEUES`].
fn by_source(is_ipv6: bool) -> Vec<sock_filter> {
    // The kernel's names for them are numbers without a type.
    let load = |offset: u32| {
        step(
            libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
            NETWORK_HEADER + offset,
        )
    };
    let with_x = |operation| step(libc::BPF_ALU | operation | libc::BPF_X, 0);
    let with = |operation, value| step(libc::BPF_ALU | operation | libc::BPF_K, value);
    let keep = || step(libc::BPF_MISC | libc::BPF_TAX, 0);
    let words: &[u32] = if is_ipv6 { &[8, 12, 16, 20] } else { &[12] };

    let mut program = vec![load(words[0])];
    for &word in &words[1..] {
        program.extend([
            with(libc::BPF_MUL, ODD),
            keep(),
            load(word),
            with_x(BPF_XOR),
        ]);
    }
    program.extend([
        with(BPF_XOR, fastrand::u32(..)),
        with(libc::BPF_MUL, ODD),
        with(libc::BPF_RSH, 16),
        #[allow(clippy::cast_possible_truncation)] // 32.
        with(BPF_MOD, QUEUES as u32),
        step(libc::BPF_RET | BPF_A, 0),
    ]);
    program
}

/// Where the IP header begins (SKF_NET_OFF), for a filter that sees a packet from its payload on.
const NETWORK_HEADER: u32 = (-0x10_0000_i32).cast_unsigned();
/// 2³² divided by the golden ratio: multiplying by it spreads neighbours.
const ODD: u32 = 0x9e37_79b1;
const BPF_XOR: u32 = 0xa0;
const BPF_MOD: u32 = 0x90;
const BPF_A: u32 = 0x10;

fn step(code: u32, k: u32) -> sock_filter {
    sock_filter {
        #[allow(clippy::cast_possible_truncation)] // All of them are below 256.
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

fn set(socket: &Socket, level: c_int, option: c_int, value: c_int) -> Result<()> {
    attach(socket, level, option, &value)
}

fn attach<T>(socket: &Socket, level: c_int, option: c_int, value: &T) -> Result<()> {
    #[allow(clippy::cast_possible_truncation)] // A few bytes.
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the pointer is to a live value, and `length` says how large it is; what a filter points to lives as long.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            length,
        )
    };
    if outcome < 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(())
}
