//! Hears what anybody changes in the switch and on the far ends of its pairs, gathers it, and says so.

use std::{
    collections::BTreeSet,
    io::IoSliceMut,
    os::{
        fd::{AsFd, AsRawFd},
        unix::net::UnixStream,
    },
    thread::Builder,
    time::{Duration, Instant},
};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER, protocols::NETLINK_ROUTE};
use nix::{
    errno::Errno,
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{ControlMessageOwned, MsgFlags, NetlinkAddr, recvmsg},
};

use crate::{
    error::Result, link::Link, message::link, netns::enter, news::Directory, socket::RouteSocket,
    worker::Ground,
};

/// RTNLGRP_LINK, NEIGH, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE.
const ROUTE_GROUPS: [u32; 6] = [1, 3, 5, 7, 9, 11];
const NFNLGRP_NFTABLES: u32 = 7;
/// What comes this soon after the last is told together with it, but nothing waits for longer than the second.
const QUIET: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_millis(500);
const BUFFER: usize = 64 * 1024;

/// What changed since the last time, by whosever doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Links of the switch: themselves, what is on them, or on the far ends of their pairs.
    pub links: BTreeSet<String>,
    /// The packet filter of the host or of the switch.
    pub packet_filter: bool,
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
        // From every namespace that has a number here, as each has that a pair leads to.
        route.set_listen_all_namespaces(true)?;
        // Listening first: what is made while the links are read is in both.
        let mut directory = Directory::default();
        for (_, payload) in RouteSocket::open()?.dump(&link::dump())? {
            directory.learn(Link::parse(&payload).unwrap_or_default());
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
        let mut changed = Changed::default();
        let mut since: Option<Instant> = None;
        loop {
            let wait = since.map_or(PollTimeout::NONE, |since| {
                let left = PATIENCE.saturating_sub(since.elapsed()).min(QUIET);
                PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)
            });
            let mut polled = [
                PollFd::new(ended.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.route.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.filters[0].as_fd(), PollFlags::POLLIN),
                PollFd::new(self.filters[1].as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut polled, wait) {
                Err(Errno::EINTR) => continue,
                outcome => outcome?,
            };
            let [is_over, in_route, filters @ ..] = polled.map(|fd| fd.any().unwrap_or(true));
            if is_over {
                return Ok(());
            }
            if in_route {
                self.hear_route(&mut changed)?;
            }
            for (socket, heard) in self.filters.iter().zip(filters) {
                if heard {
                    changed.packet_filter = true;
                    drain(socket, &mut self.buffer);
                }
            }
            if changed != Changed::default() {
                since.get_or_insert_with(Instant::now);
            }
            let is_quiet = !in_route && filters == [false; 2];
            if since.is_some_and(|since| is_quiet || since.elapsed() >= PATIENCE) {
                since = None;
                tell(std::mem::take(&mut changed));
            }
        }
    }

    fn hear_route(&mut self, changed: &mut Changed) -> Result<()> {
        let mut space = nix::cmsg_space!(i32);
        let mut parts = [IoSliceMut::new(&mut self.buffer)];
        let socket = self.route.as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT;
        let received = match recvmsg::<NetlinkAddr>(socket, &mut parts, Some(&mut space), flags) {
            Ok(received) => received,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(()),
            Err(Errno::ENOBUFS) => {
                changed.lost = true;
                return Ok(());
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
        Ok(())
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

fn drain(socket: &Socket, buffer: &mut [u8]) {
    while socket
        .recv(&mut &mut *buffer, libc::MSG_DONTWAIT)
        .is_ok_and(|length| length > 0)
    {}
}
