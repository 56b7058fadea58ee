//! A bridge, made or made right.

use nix::errno::Errno;

use crate::{
    error::Result,
    message::link::{self, Traits},
    netns::SWITCH,
    op::Bridge,
    parse,
    site::{Site, Sites},
};

const KIND: &str = "bridge";

pub fn add(sites: &mut Sites, bridge: &Bridge) -> Result<()> {
    let name = parse::link_name("name", &bridge.name)?;
    let traits = Traits {
        up: Some(true),
        mtu: Some(bridge.mtu),
        mac: Some(parse::mac("mac", &bridge.mac)?),
        alias: parse::alias("alias", bridge.alias.as_deref())?,
        ..Traits::default()
    };
    let site = sites.at(&bridge.netns)?;
    site.forget(name);
    match create(site, name, &traits) {
        Err(error) if error.is(Errno::EEXIST) => {
            let Some(existing) = site.link(name)? else {
                return Err(error);
            };
            if existing.kind == KIND {
                return site.adjust(&existing, &traits);
            }
            if !may_delete(&bridge.netns, KIND, &existing.kind) {
                return Err(error);
            }
            site.delete(&existing)?;
            create(site, name, &traits)
        }
        outcome => outcome,
    }
}

/// A bridge adjusts its MTU to its ports (`br_mtu_auto_adjust`), back to 1500 when the last one leaves,
/// until its MTU is changed by hand (`BROPT_MTU_SET_BY_USER`); the one given at creation does not count.
fn create(site: &mut Site, name: &str, traits: &Traits) -> Result<()> {
    let provisional = Traits {
        mtu: traits.mtu.map(|mtu| if mtu == 1500 { 1499 } else { 1500 }),
        ..traits.clone()
    };
    site.socket.change(&link::add_bridge(name, &provisional))?;
    // IFLA_IFALIAS is not heeded in the message that creates a link.
    let by_hand = Traits {
        mtu: traits.mtu,
        alias: traits.alias.clone(),
        ..Traits::default()
    };
    site.socket.change(&link::set(name, &by_hand))
}

/// Whether a link that has a name we want may be deleted for it. In the switch everything is ours;
/// elsewhere only a link of the kind that we would make can be.
pub fn may_delete(netns: &str, kind: &str, existing: &str) -> bool {
    netns == SWITCH || kind == existing
}
