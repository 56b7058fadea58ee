//! Questions that somebody else answers.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use socket2::Socket;

use crate::batch::Path;

/// One asker has no more than this under way, so that others are forwarded too.
const OF_ONE: usize = 128;
const OF_ALL: usize = 8192;

/// The way back.
pub enum Way {
    Udp(Arc<Socket>, Box<Path>),
    Tcp(u64),
}

#[derive(Default)]
pub struct Waiting {
    questions: Mutex<Questions>,
}

#[derive(Default)]
struct Questions {
    last: u64,
    asked: HashMap<u64, (IpAddr, Way)>,
    of: HashMap<IpAddr, usize>,
}

impl Waiting {
    /// A number for the question; none when there is no room for it.
    pub fn add(&self, asker: IpAddr, way: impl FnOnce() -> Way) -> Option<u64> {
        let mut questions = self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if questions.asked.len() >= OF_ALL {
            return None;
        }
        let of = questions.of.entry(asker).or_default();
        if *of >= OF_ONE {
            return None;
        }
        *of += 1;
        questions.last += 1;
        let id = questions.last;
        questions.asked.insert(id, (asker, way()));
        Some(id)
    }

    /// A question is answered once.
    pub fn take(&self, id: u64) -> Option<Way> {
        let mut questions = self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (asker, way) = questions.asked.remove(&id)?;
        if let Some(of) = questions.of.get_mut(&asker) {
            *of -= 1;
            if *of == 0 {
                questions.of.remove(&asker);
            }
        }
        Some(way)
    }

    /// Nobody is answered any more, and no socket is held for it.
    pub fn clear(&self) {
        let mut questions = self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        questions.asked.clear();
        questions.of.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asker_leaves_room_for_others() {
        let waiting = Waiting::default();
        let [loud, quiet] = ["10.0.0.1", "10.0.0.2"].map(|text| text.parse().unwrap());
        let ids: Vec<_> = (0..=OF_ONE)
            .map(|_| waiting.add(loud, || Way::Tcp(1)))
            .collect();
        assert!(ids[OF_ONE - 1].is_some() && ids[OF_ONE].is_none());
        assert!(waiting.add(quiet, || Way::Tcp(2)).is_some());
        assert!(matches!(waiting.take(ids[0].unwrap()), Some(Way::Tcp(1))));
        assert!(waiting.take(ids[0].unwrap()).is_none());
        assert!(waiting.add(loud, || Way::Tcp(1)).is_some());
    }

    #[test]
    fn all_of_them_together_have_a_limit_and_leave_nothing_behind() {
        let waiting = Waiting::default();
        let asker = |n: u32| IpAddr::from(std::net::Ipv4Addr::from(n));
        let add = |n| waiting.add(asker(n), || Way::Tcp(1));
        let ids: Vec<_> = (0..8192).map(|n| add(n).unwrap()).collect();
        assert!(add(8192).is_none());
        for id in ids {
            waiting.take(id);
        }
        let questions = waiting.questions.lock().unwrap();
        assert!(questions.asked.is_empty() && questions.of.is_empty());
    }
}
