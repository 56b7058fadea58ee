//! One client over TCP.

use std::{
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    time::Instant,
};

use nix::sys::epoll::EpollFlags;
use socket2::Socket;

use crate::{
    answer::{Asked, Desk, Transport, Verdict, answer},
    server::Shared,
    table,
    waiting::Way,
};

const LENGTH: usize = 2;
/// One who sends faster than it takes answers is not read from meanwhile.
const OUTPUT: usize = 64 * 1024;
const READ: usize = 16 * 1024;

pub struct Connection {
    socket: Socket,
    peer: SocketAddr,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Questions that somebody else answers.
    waiting: usize,
    ended: bool,
    since: Instant,
}

impl Connection {
    pub fn new(socket: Socket, peer: SocketAddr) -> Self {
        Self {
            socket,
            peer,
            input: vec![],
            output: vec![],
            waiting: 0,
            ended: false,
            since: Instant::now(),
        }
    }

    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// When anything last went through it.
    pub fn since(&self) -> Instant {
        self.since
    }

    pub fn interest(&self) -> EpollFlags {
        let mut interest = EpollFlags::empty();
        interest.set(EpollFlags::EPOLLIN, self.may_read());
        interest.set(EpollFlags::EPOLLOUT, !self.output.is_empty());
        interest
    }

    fn may_read(&self) -> bool {
        !self.ended && self.output.len() < OUTPUT
    }

    /// Reads, answers and writes what can be, without waiting; false when it is over.
    pub fn read(&mut self, number: u64, desk: &mut Desk, shared: &Shared) -> bool {
        let mut bytes = [0; READ];
        if self.may_read() {
            match self.socket.read(&mut bytes) {
                Ok(0) => self.ended = true,
                Ok(read) => {
                    self.since = Instant::now();
                    self.input.extend_from_slice(&bytes[..read]);
                }
                Err(error) if is_for_later(error.kind()) => (),
                Err(_) => return false,
            }
        }
        self.answer(number, desk, shared) && self.write() && !self.is_over()
    }

    /// An answer that somebody else gave.
    pub fn answered(&mut self, packet: &[u8]) {
        self.waiting = self.waiting.saturating_sub(1);
        self.put(packet);
    }

    fn is_over(&self) -> bool {
        self.ended && self.waiting == 0 && self.output.is_empty()
    }

    /// Whole questions leave the input. False after one that is not answered: who sends what deserves no answer is
    /// no resolver, and who asks too much at once asks again.
    fn answer(&mut self, number: u64, desk: &mut Desk, shared: &Shared) -> bool {
        let mut input = std::mem::take(&mut self.input);
        let mut rest = input.as_slice();
        let mut lives = true;
        while lives
            && self.output.len() < OUTPUT
            && let Some((packet, after)) = frame(rest)
        {
            lives = self.answer_one(packet, number, desk, shared);
            rest = after;
        }
        let done = input.len() - rest.len();
        input.drain(..done);
        self.input = input;
        lives
    }

    fn answer_one(&mut self, packet: &[u8], number: u64, desk: &mut Desk, shared: &Shared) -> bool {
        let asked = Asked {
            packet,
            asker: self.peer.ip(),
            transport: Transport::Tcp,
        };
        let mut out = vec![];
        let table = table::read(&shared.table);
        let verdict = answer(&shared.zone, &table, desk, &asked, &mut out);
        drop(table);
        shared.stats.count(verdict);
        match verdict {
            Verdict::Answered | Verdict::Truncated | Verdict::Malformed => self.put(&out),
            Verdict::Forward => {
                self.waiting += 1;
                return shared.forward(packet, self.peer, Transport::Tcp, || Way::Tcp(number));
            }
            Verdict::Silence => return false,
        }
        true
    }

    fn put(&mut self, packet: &[u8]) {
        // An answer is never longer.
        let length = u16::try_from(packet.len()).unwrap_or(0);
        self.output.extend_from_slice(&length.to_be_bytes());
        self.output
            .extend_from_slice(&packet[..usize::from(length)]);
    }

    fn write(&mut self) -> bool {
        while !self.output.is_empty() {
            match self.socket.write(&self.output) {
                Ok(written) => {
                    self.since = Instant::now();
                    self.output.drain(..written);
                }
                Err(error) if is_for_later(error.kind()) => break,
                Err(_) => return false,
            }
        }
        true
    }
}

/// The first packet of what came in, if there is all of it, and what follows.
fn frame(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = input.split_first_chunk::<LENGTH>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

fn is_for_later(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
