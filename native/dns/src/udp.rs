//! Answers over UDP.

use std::{
    os::fd::{AsFd, BorrowedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    eventfd::EventFd,
};
use socket2::Socket;
use weave_kernel::Result;

use crate::{
    answer::{Asked, Desk, Transport, Verdict, answer},
    batch::{BATCH, Batch},
    server::Shared,
    table,
    waiting::Way,
};

const WAKE: u64 = u64::MAX;

/// One thread for all sockets: in each round each of them that has something gets a batch answered. So one queue's flood
/// takes from the others no more than its turn.
pub struct Loop {
    shared: Arc<Shared>,
    sockets: Vec<Arc<Socket>>,
    epoll: Epoll,
    batch: Batch,
    desk: Desk,
    answers: Vec<(usize, Vec<u8>)>,
    // It is watched.
    _wakes: Arc<EventFd>,
}

impl Loop {
    pub fn new(
        shared: Arc<Shared>,
        sockets: Vec<Arc<Socket>>,
        wakes: Arc<EventFd>,
    ) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&wakes, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        for (number, socket) in sockets.iter().enumerate() {
            epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
        }
        Ok(Self {
            shared,
            sockets,
            epoll,
            batch: Batch::new(),
            desk: Desk::default(),
            answers: vec![(0, vec![]); BATCH],
            _wakes: wakes,
        })
    }

    pub fn run(mut self) {
        let mut events = vec![EpollEvent::empty(); self.sockets.len() + 1];
        while !self.shared.ends() {
            let ready = self
                .epoll
                .wait(&mut events, EpollTimeout::NONE)
                .unwrap_or(0);
            for event in &events[..ready] {
                let number = usize::try_from(event.data()).unwrap_or(usize::MAX);
                let Some(socket) = self.sockets.get(number).cloned() else {
                    continue;
                };
                // A fault in answering one packet takes its batch along, not the server.
                if catch_unwind(AssertUnwindSafe(|| self.turn(&socket))).is_err() {
                    self.shared.stats.drop(1);
                }
            }
        }
    }

    fn turn(&mut self, socket: &Arc<Socket>) {
        // An error is of an earlier packet's, or of the moment.
        let received = self.batch.receive(socket.as_fd()).unwrap_or(0);
        let answered = self.answer(socket, received);
        let failed = self.send(socket.as_fd(), answered);
        if failed > 0 {
            self.shared.stats.drop(failed as u64);
        }
    }

    fn send(&mut self, socket: BorrowedFd, answered: usize) -> usize {
        self.batch.send(socket, &mut self.answers[..answered])
    }

    /// Answers the packets of the batch; how many answers there are.
    fn answer(&mut self, socket: &Arc<Socket>, received: usize) -> usize {
        let shared = &*self.shared;
        let table = table::read(&shared.table);
        let mut answered = 0;
        for at in 0..received {
            let Some(source) = self.batch.path(at).source() else {
                shared.stats.drop(1);
                continue;
            };
            let asked = Asked {
                packet: self.batch.packet(at),
                asker: source.ip(),
                transport: Transport::Udp,
            };
            let (to, packet) = &mut self.answers[answered];
            let verdict = answer(&shared.zone, &table, &mut self.desk, &asked, packet);
            shared.stats.count(verdict);
            match verdict {
                Verdict::Answered | Verdict::Truncated | Verdict::Malformed => {
                    *to = at;
                    answered += 1;
                }
                Verdict::Forward => {
                    let way = || Way::Udp(socket.clone(), Box::new(self.batch.path(at).clone()));
                    shared.forward(asked.packet, source, Transport::Udp, way);
                }
                Verdict::Silence => (),
            }
        }
        answered
    }
}
