//! What was done so far.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::answer::Verdict;

#[derive(Debug, Default)]
pub struct Stats {
    pub answered: AtomicU64,
    pub truncated: AtomicU64,
    pub malformed: AtomicU64,
    pub forwarded: AtomicU64,
    /// What nobody was told anything for: answers, what is too short, what there was no room for.
    pub dropped: AtomicU64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub names: u64,
    pub answered: u64,
    pub truncated: u64,
    pub malformed: u64,
    pub forwarded: u64,
    pub dropped: u64,
    pub tcp_connections: u64,
}

impl Stats {
    pub fn count(&self, verdict: Verdict) {
        let counter = match verdict {
            Verdict::Answered => &self.answered,
            Verdict::Truncated => &self.truncated,
            Verdict::Malformed => &self.malformed,
            Verdict::Forward => &self.forwarded,
            Verdict::Silence => &self.dropped,
        };
        add(counter, 1);
    }

    pub fn drop(&self, number: u64) {
        add(&self.dropped, number);
    }

    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        Counts {
            answered: read(&self.answered),
            truncated: read(&self.truncated),
            malformed: read(&self.malformed),
            forwarded: read(&self.forwarded),
            dropped: read(&self.dropped),
            ..Counts::default()
        }
    }
}

fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Relaxed);
}
