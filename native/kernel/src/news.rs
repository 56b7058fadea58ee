//! What rtnetlink's notifications are about: which link of the switch, wherever its far end is.

use std::collections::{BTreeSet, HashMap};

use netlink_packet_core::{NetlinkBuffer, NlasIterator};
use nix::libc::{
    RTM_DELADDR, RTM_DELLINK, RTM_DELNEIGH, RTM_DELROUTE, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEIGH,
    RTM_NEWROUTE,
};

use crate::link::Link;

const RTMSG_LEN: usize = 12;
const RTA_OIF: u16 = 4;

/// A namespace as the switch numbers it; None is the switch itself.
type Place = Option<i32>;

/// The links of the switch by what notifications call them: index, and for the far ends of pairs place and index.
#[derive(Default)]
pub struct Directory {
    names: HashMap<u32, String>,
    far: HashMap<(Place, u32), u32>,
}

impl Directory {
    pub fn learn(&mut self, link: Link) {
        if let (Some(lower), place @ Some(_)) = (link.lower, link.lower_netns) {
            self.far.insert((place, lower), link.index);
        }
        self.names.insert(link.index, link.name);
    }

    fn forget(&mut self, index: u32) -> Option<String> {
        self.far.retain(|_, near| *near != index);
        self.names.remove(&index)
    }

    /// Notes the links that a datagram is about.
    pub fn read(&mut self, place: Place, datagram: &[u8], about: &mut BTreeSet<String>) {
        let mut rest = datagram;
        while let Ok(message) = NetlinkBuffer::new_checked(rest) {
            about.extend(self.subject(place, message.message_type(), message.payload()));
            let length = (message.length() as usize).next_multiple_of(4);
            rest = rest.get(length..).unwrap_or_default();
        }
    }

    fn subject(&mut self, place: Place, kind: u16, payload: &[u8]) -> Option<String> {
        let index = index_of(kind, payload)?;
        if place.is_some() {
            let near = self.far.get(&(place, index))?;
            return self.names.get(near).cloned();
        }
        match kind {
            RTM_NEWLINK => {
                let link = Link::parse(payload)?;
                let name = link.name.clone();
                self.learn(link);
                Some(name)
            }
            RTM_DELLINK => self.forget(index),
            _ => self.names.get(&index).cloned(),
        }
    }
}

/// The index is in the same place of `struct ifinfomsg`, `ifaddrmsg` and `ndmsg`; of a route it is an attribute.
fn index_of(kind: u16, payload: &[u8]) -> Option<u32> {
    let four = |bytes: &[u8]| Some(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?));
    match kind {
        RTM_NEWLINK | RTM_DELLINK | RTM_NEWADDR | RTM_DELADDR | RTM_NEWNEIGH | RTM_DELNEIGH => {
            four(payload.get(4..)?)
        }
        RTM_NEWROUTE | RTM_DELROUTE => NlasIterator::new(payload.get(RTMSG_LEN..)?)
            .flatten()
            .find(|attribute| attribute.kind() == RTA_OIF)
            .and_then(|attribute| four(attribute.value())),
        _ => None,
    }
}
