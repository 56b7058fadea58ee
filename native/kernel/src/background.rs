//! What nobody waits for, on a thread of its own: announcements, and deleting retired links, which takes an RCU grace
//! period (16 to 20 ms), once for a whole group.

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
    announce::{Announcement, Announcer},
    error::Result,
    message::link::delete_group,
    netns::{Netns, enter, key},
    socket::RouteSocket,
};

/// The `IFLA_GROUP` of retired links: nothing in it is ever used again. (`weav` in ASCII.)
pub const REAP_GROUP: u32 = 0x7765_6176;
/// How long to gather, so that links retired together are deleted together.
const GATHER: Duration = Duration::from_millis(5);

enum Chore {
    Reap(Netns),
    Announce(Announcement),
}

pub struct Background {
    chores: Option<Sender<Chore>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// The calling thread comes back to `home`.
    pub fn start(home: Netns, switch: &Netns) -> Result<Self> {
        enter(switch)?;
        let announcer = Announcer::open();
        enter(&home)?;
        let announcer = announcer?;
        let (chores, inbox) = channel();
        let thread = Builder::new()
            .name("weave-background".to_owned())
            .spawn(move || serve(&inbox, &announcer, &home))?;
        Ok(Self {
            chores: Some(chores),
            thread: Some(thread),
        })
    }

    /// Has the retired links of a namespace deleted soon.
    pub fn reap(&self, netns: &Netns) {
        self.ask(Chore::Reap(netns.clone()));
    }

    /// Best effort: who is not told asks for himself.
    pub fn announce(&self, announcement: Announcement) {
        self.ask(Chore::Announce(announcement));
    }

    fn ask(&self, chore: Chore) {
        if let Some(chores) = &self.chores {
            // Only a thread that is gone refuses; retired links are then reaped at the next start.
            let _ = chores.send(chore);
        }
    }

    /// Finishes what was asked for and ends the thread.
    pub fn finish(&mut self) {
        self.chores = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(inbox: &Receiver<Chore>, announcer: &Announcer, home: &Netns) {
    while let Ok(first) = inbox.recv() {
        let until = Instant::now() + GATHER;
        let mut namespaces = HashMap::new();
        let mut next = Some(first);
        while let Some(chore) = next {
            match chore {
                Chore::Reap(netns) => {
                    if let Ok(key) = key(netns.as_fd()) {
                        namespaces.insert(key, netns);
                    }
                }
                Chore::Announce(announcement) => contained(|| announcer.tell(&announcement)),
            }
            next = inbox
                .recv_timeout(until.saturating_duration_since(Instant::now()))
                .ok();
        }
        for netns in namespaces.values() {
            // A failure leaves the links down and out of use; the next round or start takes them.
            contained(|| reap(netns));
        }
        // A thread keeps the namespace it is in alive.
        let _ = enter(home);
    }
}

fn contained(work: impl FnOnce() -> Result<()>) {
    let _ = catch_unwind(AssertUnwindSafe(work));
}

fn reap(netns: &Netns) -> Result<()> {
    enter(netns)?;
    match RouteSocket::open()?.change(&delete_group(REAP_GROUP)) {
        Err(error) if error.is(Errno::ENODEV) => Ok(()),
        outcome => outcome,
    }
}
