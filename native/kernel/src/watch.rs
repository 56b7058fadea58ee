//! Hears what the switch and the far ends of its pairs may have lost, gathers it, and says so.

use std::{
    collections::BTreeSet,
    io::IoSliceMut,
    os::{
        fd::{AsFd, AsRawFd},
        unix::net::UnixStream,
    },
    thread::{Builder, sleep},
    time::Duration,
};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER, protocols::NETLINK_ROUTE};
use nix::{
    errno::Errno,
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{ControlMessageOwned, MsgFlags, NetlinkAddr, recvmsg, setsockopt, sockopt},
};

use crate::{
    error::Result, losses::hear_losses, message::link, netns::enter, news::Directory,
    socket::RouteSocket, worker::Ground,
};

/// RTNLGRP_LINK, NEIGH, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE.
const ROUTE_GROUPS: [u32; 6] = [1, 3, 5, 7, 9, 11];
const NFNLGRP_NFTABLES: u32 = 7;
/// What comes this soon after the first is told together with it. Meanwhile this thread sleeps: our own verbs are heard
/// too, and should not wake it each.
const GATHER: Duration = Duration::from_millis(50);
/// Room for what comes meanwhile when thousands are attached; the kernel counts some 2.5 KiB for each.
const ROOM: usize = 16 * 1024 * 1024;
const BUFFER: usize = 64 * 1024;

/// What may have been lost since the last time, by whosever doing: not what was added, nor how else a link is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Links of the switch that came, went or are down; or something went from them, or from the far ends of their pairs.
    pub links: BTreeSet<String>,
    /// Namespaces whose packet filter was changed: `host`, `switch`.
    pub filters: BTreeSet<&'static str>,
    /// Notifications were lost: anything may have changed.
    pub lost: bool,
}

/// Until it is dropped.
pub struct Watch {
    _alive: UnixStream,
}

impl Watch {
    /// Tells from now on, on a thread of its own.
    pub fn start(ground: &Ground, mut tell: impl FnMut(Changed) + Send + 'static) -> Result<Self> {
        let (alive, ended) = UnixStream::pair()?;
        let ground = ground.clone();
        Builder::new()
            .name("weave-watch".to_owned())
            .spawn(move || {
                // Without ears only the slow passes are left.
                let ears = Ears::open(&ground);
                drop(ground);
                if let Ok(mut ears) = ears {
                    let _ = ears.listen(&ended, &mut tell);
                }
            })?;
        Ok(Self { _alive: alive })
    }
}

struct Ears {
    route: Socket,
    filters: [Socket; 2],
    directory: Directory,
    buffer: Vec<u8>,
}

impl Ears {
    fn open(Ground { host, switch }: &Ground) -> Result<Self> {
        enter(host)?;
        let on_host = subscribed(NETLINK_NETFILTER, &[NFNLGRP_NFTABLES])?;
        enter(switch)?;
        let in_switch = subscribed(NETLINK_NETFILTER, &[NFNLGRP_NFTABLES])?;
        let route = subscribed(NETLINK_ROUTE, &ROUTE_GROUPS)?;
        hear_losses(&route)?;
        // From every namespace that has a number here, as each has that a pair leads to.
        route.set_listen_all_namespaces(true)?;
        setsockopt(&route.as_fd(), sockopt::RcvBufForce, &ROOM)?;
        // Listening first: what is made while the links are read is in both.
        let mut directory = Directory::default();
        for (_, payload) in RouteSocket::open()?.dump(&link::dump())? {
            directory.learn(&payload);
        }
        enter(host)?;
        Ok(Self {
            route,
            filters: [on_host, in_switch],
            directory,
            buffer: vec![0; BUFFER],
        })
    }

    fn listen(&mut self, ended: &UnixStream, tell: &mut impl FnMut(Changed)) -> Result<()> {
        loop {
            let [host, switch] = &self.filters;
            let sources = [
                ended.as_fd(),
                self.route.as_fd(),
                host.as_fd(),
                switch.as_fd(),
            ];
            let mut polled = sources.map(|source| PollFd::new(source, PollFlags::POLLIN));
            match poll(&mut polled, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                outcome => outcome?,
            };
            if polled[0].any().unwrap_or(true) {
                return Ok(());
            }
            sleep(GATHER);
            let mut changed = Changed::default();
            while self.hear_route(&mut changed)? {}
            for (socket, netns) in self.filters.iter().zip(["host", "switch"]) {
                if heard(socket, &mut self.buffer) {
                    changed.filters.insert(netns);
                }
            }
            if changed != Changed::default() {
                tell(changed);
            }
        }
    }

    /// False when there is nothing more.
    fn hear_route(&mut self, changed: &mut Changed) -> Result<bool> {
        let mut space = nix::cmsg_space!(i32);
        let mut parts = [IoSliceMut::new(&mut self.buffer)];
        let socket = self.route.as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT;
        let received = match recvmsg::<NetlinkAddr>(socket, &mut parts, Some(&mut space), flags) {
            Ok(received) => received,
            Err(Errno::EAGAIN) => return Ok(false),
            Err(Errno::EINTR) => return Ok(true),
            Err(Errno::ENOBUFS) => {
                changed.lost = true;
                return Ok(true);
            }
            Err(errno) => return Err(errno.into()),
        };
        let length = received.bytes;
        let place = received
            .cmsgs()
            .ok()
            .and_then(|mut all| all.find_map(|each| number_in(&each)));
        let datagram = self.buffer.get(..length).unwrap_or_default();
        self.directory.read(place, datagram, &mut changed.links);
        Ok(true)
    }
}

/// The number of the namespace that it comes from; the socket's own has none.
fn number_in(message: &ControlMessageOwned) -> Option<i32> {
    match message {
        ControlMessageOwned::Unknown(unknown)
            if unknown.cmsg_header.cmsg_type == libc::NETLINK_LISTEN_ALL_NSID =>
        {
            Some(i32::from_ne_bytes(
                unknown.data_bytes.get(..4)?.try_into().ok()?,
            ))
        }
        _ => None,
    }
}

fn subscribed(protocol: isize, groups: &[u32]) -> Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    for group in groups {
        socket.add_membership(*group)?;
    }
    socket.set_non_blocking(true)?;
    Ok(socket)
}

/// Reads all there is.
fn heard(socket: &Socket, buffer: &mut [u8]) -> bool {
    let mut any = false;
    while match socket.recv(&mut &mut *buffer, libc::MSG_DONTWAIT) {
        Ok(length) => length > 0,
        Err(error) => error.raw_os_error() == Some(libc::ENOBUFS),
    } {
        any = true;
    }
    any
}
