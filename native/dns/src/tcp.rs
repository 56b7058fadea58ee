//! Answers over TCP.

use std::{
    collections::HashMap,
    io::ErrorKind,
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    eventfd::EventFd,
};
use socket2::{SockAddr, Socket};
use weave_kernel::Result;

use crate::{answer::Desk, connection::Connection, server::Shared};

/// Who is silent, or does not take its answers, for as long is hung up on.
const PATIENCE: Duration = Duration::from_secs(10);
const SWEEP: Duration = Duration::from_secs(1);
/// One asker has no more than this open, so that others can be heard.
const OF_ONE: usize = 32;
const OF_ALL: usize = 1024;
const BREATH: Duration = Duration::from_millis(50);
/// Of connections as of listeners; connections' numbers begin beyond both.
const WAKE: u64 = 0;

#[derive(Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

pub struct Loop {
    shared: Arc<Shared>,
    listeners: Vec<Socket>,
    connections: HashMap<u64, Connection>,
    last: u64,
    epoll: Epoll,
    wakes: Arc<EventFd>,
    desk: Desk,
    swept: Instant,
}

impl Loop {
    pub fn new(shared: Arc<Shared>, listeners: Vec<Socket>, wakes: Arc<EventFd>) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&wakes, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        let mut last = WAKE;
        for listener in &listeners {
            last += 1;
            epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, last))?;
        }
        Ok(Self {
            shared,
            listeners,
            connections: HashMap::new(),
            last,
            epoll,
            wakes,
            desk: Desk::default(),
            swept: Instant::now(),
        })
    }

    pub fn run(mut self) {
        let mut events = [EpollEvent::empty(); 64];
        while !self.shared.ends() {
            let idle = self.connections.is_empty();
            let timeout = if idle {
                EpollTimeout::NONE
            } else {
                EpollTimeout::try_from(SWEEP).unwrap_or(EpollTimeout::MAX)
            };
            let ready = self.epoll.wait(&mut events, timeout).unwrap_or(0);
            for event in &events[..ready] {
                let number = event.data();
                // A fault in answering takes its connection along, not the server.
                if catch_unwind(AssertUnwindSafe(|| self.turn(number))).is_err() {
                    self.hang_up(number);
                }
            }
            self.sweep();
            self.shared
                .connections
                .0
                .store(self.connections.len() as u64, Relaxed);
        }
    }

    fn turn(&mut self, number: u64) {
        if number == WAKE {
            self.deliver();
        } else if self.connections.contains_key(&number) {
            self.serve(number, |connection, desk, shared| {
                connection.read(number, desk, shared)
            });
        } else if let Ok(at) = usize::try_from(number - 1)
            && at < self.listeners.len()
        {
            self.accept(at);
        }
    }

    /// Answers that somebody else gave.
    fn deliver(&mut self) {
        let _ = self.wakes.read();
        let answers = std::mem::take(&mut *self.shared.outbox());
        for (number, answer) in answers {
            self.serve(number, |connection, desk, shared| {
                connection.answered(&answer);
                connection.read(number, desk, shared)
            });
        }
    }

    /// Does something with a connection, and with what is left of it afterwards.
    fn serve(
        &mut self,
        number: u64,
        work: impl FnOnce(&mut Connection, &mut Desk, &Shared) -> bool,
    ) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let lives = work(connection, &mut self.desk, &self.shared);
        let mut event = EpollEvent::new(connection.interest(), number);
        if !lives || self.epoll.modify(connection.socket(), &mut event).is_err() {
            self.hang_up(number);
        }
    }

    fn accept(&mut self, at: usize) {
        loop {
            match self.listeners[at].accept() {
                Ok((socket, peer)) => self.admit(socket, &peer),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // There are no descriptors left. The connection waits, and would be told of at once.
                Err(_) => return thread::sleep(BREATH),
            }
        }
    }

    fn admit(&mut self, socket: Socket, peer: &SockAddr) {
        let Some(peer) = peer.as_socket() else {
            return;
        };
        if self.of(peer.ip()) >= OF_ONE || socket.set_nonblocking(true).is_err() {
            return;
        }
        if self.connections.len() >= OF_ALL {
            self.hang_up_quietest();
        }
        self.last += 1;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, self.last);
        if self.epoll.add(&socket, event).is_ok() {
            self.connections
                .insert(self.last, Connection::new(socket, peer));
        }
    }

    fn of(&self, peer: IpAddr) -> usize {
        let connections = self.connections.values();
        connections
            .filter(|connection| connection.peer().ip() == peer)
            .count()
    }

    fn hang_up_quietest(&mut self) {
        let quietest = self
            .connections
            .iter()
            .min_by_key(|(_, connection)| connection.since());
        if let Some(&number) = quietest.map(|(number, _)| number) {
            self.hang_up(number);
        }
    }

    fn hang_up(&mut self, number: u64) {
        // Closing takes it off the list of what is watched.
        self.connections.remove(&number);
    }

    fn sweep(&mut self) {
        let now = Instant::now();
        if now - self.swept >= SWEEP {
            self.swept = now;
            self.connections
                .retain(|_, connection| now - connection.since() < PATIENCE);
        }
    }
}
