//! What rtnetlink's notifications are about: which link of the switch, wherever its far end is.

use std::{
    collections::{BTreeSet, HashMap},
    ffi::CStr,
};

use netlink_packet_core::{NetlinkBuffer, NlasIterator};
use nix::libc::{AF_BRIDGE, RTM_DELADDR, RTM_DELLINK, RTM_DELNEIGH, RTM_DELROUTE, RTM_NEWLINK};

#[expect(clippy::cast_possible_truncation, reason = "families are small")]
const FAMILY_BRIDGE: u8 = AF_BRIDGE as u8;
const IFINFOMSG_LEN: usize = 16;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_LINK_NETNSID: u16 = 37;
const RTMSG_LEN: usize = 12;
const RTA_OIF: u16 = 4;

/// A namespace as the switch numbers it; None is the switch itself.
type Place = Option<i32>;

/// A link of the switch.
struct Near {
    name: String,
    /// Of a pair: the other end.
    far: Option<(Place, u32)>,
}

/// The links of the switch by what notifications call them: index, and for the far ends of pairs place and index.
#[derive(Default)]
pub struct Directory {
    near: HashMap<u32, Near>,
    far: HashMap<(Place, u32), u32>,
}

impl Directory {
    /// From the payload of a link's message; answers its name. Only what is needed here is read: there are thousands.
    pub fn learn(&mut self, payload: &[u8]) -> Option<String> {
        let index = four(payload.get(4..)?)?;
        let (mut name, mut lower, mut place) = (None, None, None);
        for attribute in NlasIterator::new(payload.get(IFINFOMSG_LEN..)?).flatten() {
            let value = attribute.value();
            match attribute.kind() {
                IFLA_IFNAME => name = text(value),
                IFLA_LINK => lower = four(value),
                IFLA_LINK_NETNSID => place = four(value).map(u32::cast_signed),
                _ => {}
            }
        }
        let name = name?;
        let far = place.and(lower).map(|lower| (place, lower));
        if let Some(far) = far {
            self.far.insert(far, index);
        }
        let near = Near {
            name: name.clone(),
            far,
        };
        self.near.insert(index, near);
        Some(name)
    }

    fn forget(&mut self, index: u32) -> Option<String> {
        let Near { name, far } = self.near.remove(&index)?;
        if let Some(far) = far
            && self.far.get(&far) == Some(&index)
        {
            self.far.remove(&far);
        }
        Some(name)
    }

    fn name(&self, index: u32) -> Option<String> {
        Some(self.near.get(&index)?.name.clone())
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
            return self.name(*self.far.get(&(place, index))?);
        }
        match kind {
            RTM_NEWLINK => self.learn(payload),
            // A bridge says the same of a port that leaves it.
            RTM_DELLINK if payload.first() != Some(&FAMILY_BRIDGE) => self.forget(index),
            _ => self.name(index),
        }
    }
}

/// The index is in the same place of `struct ifinfomsg`, `ifaddrmsg` and `ndmsg`; of a route it is an attribute.
fn index_of(kind: u16, payload: &[u8]) -> Option<u32> {
    match kind {
        RTM_NEWLINK | RTM_DELLINK | RTM_DELADDR | RTM_DELNEIGH => four(payload.get(4..)?),
        RTM_DELROUTE => NlasIterator::new(payload.get(RTMSG_LEN..)?)
            .flatten()
            .find(|attribute| attribute.kind() == RTA_OIF)
            .and_then(|attribute| four(attribute.value())),
        _ => None,
    }
}

fn four(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?))
}

fn text(bytes: &[u8]) -> Option<String> {
    let text = CStr::from_bytes_until_nul(bytes).ok()?.to_str().ok()?;
    Some(text.to_owned())
}
