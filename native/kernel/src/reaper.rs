//! Deletes retired links, out of everyone's way: deleting waits for an RCU grace period (16 to 20 ms),
//! once for a whole group.

use std::{
    collections::HashMap,
    os::fd::AsFd,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Receiver, Sender, channel},
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use nix::errno::Errno;

use crate::{
    error::Result,
    message::link::delete_group,
    netns::{Netns, enter, key},
    socket::RouteSocket,
};

/// The `IFLA_GROUP` of retired links: nothing in it is ever used again. (`weav` in ASCII.)
pub const REAP_GROUP: u32 = 0x7765_6176;
/// How long to gather, so that links retired together are deleted together.
const GATHER: Duration = Duration::from_millis(5);

pub struct Reaper {
    namespaces: Option<Sender<Netns>>,
    thread: Option<JoinHandle<()>>,
}

impl Reaper {
    pub fn start(home: Netns) -> Result<Self> {
        let (namespaces, inbox) = channel();
        let thread = Builder::new()
            .name("weave-reaper".to_owned())
            .spawn(move || serve(&inbox, &home))?;
        Ok(Self {
            namespaces: Some(namespaces),
            thread: Some(thread),
        })
    }

    /// Has the retired links of a namespace deleted soon.
    pub fn reap(&self, netns: &Netns) {
        if let Some(namespaces) = &self.namespaces {
            // Only a thread that is gone refuses; the links are then reaped at the next start.
            let _ = namespaces.send(netns.clone());
        }
    }

    /// Finishes what was asked for and ends the thread.
    pub fn finish(&mut self) {
        self.namespaces = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(inbox: &Receiver<Netns>, home: &Netns) {
    while let Ok(first) = inbox.recv() {
        let until = Instant::now() + GATHER;
        let mut namespaces = HashMap::new();
        let mut next = Some(first);
        while let Some(netns) = next {
            if let Ok(key) = key(netns.as_fd()) {
                namespaces.insert(key, netns);
            }
            next = inbox
                .recv_timeout(until.saturating_duration_since(Instant::now()))
                .ok();
        }
        for netns in namespaces.values() {
            // A failure leaves the links down and out of use; the next round or start takes them.
            let _ = catch_unwind(AssertUnwindSafe(|| reap(netns)));
        }
        // A thread keeps the namespace it is in alive.
        let _ = enter(home);
    }
}

fn reap(netns: &Netns) -> Result<()> {
    enter(netns)?;
    match RouteSocket::open()?.change(&delete_group(REAP_GROUP)) {
        Err(error) if error.is(Errno::ENODEV) => Ok(()),
        outcome => outcome,
    }
}
