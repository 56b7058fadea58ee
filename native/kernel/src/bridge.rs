//! A bridge, made or made right.

use nix::errno::Errno;

use crate::{
    error::Result,
    message::link::{Traits, add_bridge},
    netns::SWITCH,
    op::Bridge,
    parse,
    site::Sites,
};

const KIND: &str = "bridge";

pub fn add(sites: &mut Sites, bridge: &Bridge) -> Result<()> {
    let name = parse::link_name("name", &bridge.name)?;
    let traits = Traits {
        up: Some(true),
        mtu: Some(bridge.mtu),
        mac: Some(parse::mac("mac", &bridge.mac)?),
        ..Traits::default()
    };
    let site = sites.at(&bridge.netns)?;
    site.forget(name);
    match site.socket.change(add_bridge(name, &traits)) {
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
            site.socket.change(add_bridge(name, &traits))
        }
        outcome => outcome,
    }
}

/// Whether a link that has a name we want may be deleted for it. In the switch everything is ours;
/// elsewhere only a link of the kind that we would make can be.
pub fn may_delete(netns: &str, kind: &str, existing: &str) -> bool {
    netns == SWITCH || kind == existing
}
