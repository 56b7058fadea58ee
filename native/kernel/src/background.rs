//! What nobody waits for, on a thread of its own: announcements, and deleting retired links, which takes an RCU grace
//! period (16 to 20 ms), once for a whole group.

use std::{
    collections::{HashMap, VecDeque},
    os::fd::AsFd,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
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
    worker::contain,
};

/// The `IFLA_GROUP` of retired links: nothing in it is ever used again. (`weav` in ASCII.)
pub const REAP_GROUP: u32 = 0x7765_6176;
/// A broadcast costs as much as its bridge has ports, and whoever starts containers by the hundred shall not wait for
/// what is said about the last: so many times as long as one took, the next one waits.
const REST: u32 = 9;
/// Each one that waits holds a namespace open.
const WAITING_MAX: usize = 1024;
/// How long to gather, so that links retired together are deleted together.
const GATHER: Duration = Duration::from_millis(5);
/// When links could not be deleted for want of files or memory, how long until it is tried again.
const SHORT_OF: Duration = Duration::from_secs(1);

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
    let mut duties = Duties::default();
    loop {
        let chore = match duties.next_due() {
            Some(due) => inbox.recv_timeout(due.saturating_duration_since(Instant::now())),
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match chore {
            Ok(chore) => duties.take(chore),
            Err(RecvTimeoutError::Timeout) => duties.work(announcer),
            Err(RecvTimeoutError::Disconnected) => return duties.finish(),
        }
        // A thread keeps the namespace it is in alive.
        let _ = enter(home);
    }
}

/// What is to be done, and when.
#[derive(Default)]
struct Duties {
    namespaces: HashMap<(u64, u64), Netns>,
    reap_at: Option<Instant>,
    announcements: VecDeque<Announcement>,
    announce_at: Option<Instant>,
}

impl Duties {
    fn next_due(&self) -> Option<Instant> {
        self.reap_at.into_iter().chain(self.announce_at).min()
    }

    fn take(&mut self, chore: Chore) {
        match chore {
            Chore::Reap(netns) => {
                if let Ok(key) = key(netns.as_fd()) {
                    self.namespaces.insert(key, netns);
                    self.reap_at.get_or_insert(Instant::now() + GATHER);
                }
            }
            Chore::Announce(announcement) => {
                self.announcements.push_back(announcement);
                if self.announcements.len() > WAITING_MAX {
                    self.announcements.pop_front();
                }
                self.announce_at.get_or_insert_with(Instant::now);
            }
        }
    }

    fn work(&mut self, announcer: &Announcer) {
        let now = Instant::now();
        if self.announce_at.is_some_and(|due| due <= now)
            && let Some(announcement) = self.announcements.pop_front()
        {
            let _ = contain(|| announcer.tell(&announcement));
            let rest = now.elapsed() * REST;
            self.announce_at = (!self.announcements.is_empty()).then(|| Instant::now() + rest);
        }
        if self.reap_at.is_some_and(|due| due <= now) {
            self.reap();
        }
    }

    fn reap(&mut self) {
        self.reap_at = None;
        for (key, netns) in std::mem::take(&mut self.namespaces) {
            let reaped = contain(|| reap(&netns)).and_then(|outcome| outcome);
            if reaped.is_err_and(|error| error.is_shortage()) {
                self.namespaces.insert(key, netns);
                self.reap_at = Some(Instant::now() + SHORT_OF);
            }
            // Any other failure leaves the links out of use; the next round or start takes them.
        }
    }

    fn finish(mut self) {
        self.reap();
    }
}

fn reap(netns: &Netns) -> Result<()> {
    enter(netns)?;
    match RouteSocket::open()?.change(&delete_group(REAP_GROUP)) {
        Err(error) if error.is(Errno::ENODEV) => Ok(()),
        outcome => outcome,
    }
}
