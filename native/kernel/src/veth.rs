//! A veth pair, made or made right: the near end here, the far end under its final name elsewhere.

use nix::errno::Errno;

use crate::{
    background::REAP_GROUP,
    bridge::may_delete,
    error::{Error, Result},
    link::Link,
    message::link::{Far, Port, Traits, add_veth},
    netns::Netns,
    op::{Peer, Veth},
    parse,
    site::Sites,
};

const KIND: &str = "veth";
/// Making, clearing the near name, clearing the far name, making again.
const TRIES: usize = 3;

/// The far end is left down: the caller brings it up from inside, in the same send as what follows.
pub fn add(sites: &mut Sites, veth: &Veth) -> Result<()> {
    make(sites, veth)?;
    if veth.isolated {
        let port = Port {
            isolated: true,
            ..Port::default()
        };
        sites.at(&veth.netns)?.set_port(&veth.name, port)?;
    }
    Ok(())
}

fn make(sites: &mut Sites, veth: &Veth) -> Result<()> {
    let name = parse::link_name("name", &veth.name)?;
    let far_name = parse::link_name("peer.name", &veth.peer.name)?;
    let far_traits = far_traits(&veth.peer)?;
    let far_netns = sites.at(&veth.peer.netns)?.netns.clone();
    sites.at(&veth.peer.netns)?.forget(far_name);
    let site = sites.at(&veth.netns)?;
    site.forget(name);
    let traits = Traits {
        up: Some(veth.up),
        mtu: Some(veth.mtu),
        mac: parse_mac("mac", veth.mac.as_deref())?,
        master: site.master(veth.master.as_deref())?,
        ..Traits::default()
    };
    let far = Far {
        netns: &far_netns,
        name: far_name,
        traits: far_traits.clone(),
    };
    let request = add_veth(name, &traits, &far);
    for _ in 0..TRIES {
        match sites.at(&veth.netns)?.socket.change(&request) {
            Err(error) if error.is(Errno::EEXIST) => {
                if let Some((near, far)) = find_pair(sites, veth, &far_netns)? {
                    sites.at(&veth.peer.netns)?.adjust(&far, &far_traits)?;
                    return sites.at(&veth.netns)?.adjust(&near, &traits);
                }
                make_room(sites, veth, &far_netns, error)?;
            }
            outcome => return outcome,
        }
    }
    Err(Error::new(
        Errno::EEXIST,
        "the names were taken again and again",
    ))
}

fn far_traits(peer: &Peer) -> Result<Traits> {
    Ok(Traits {
        mtu: Some(peer.mtu),
        mac: parse_mac("peer.mac", peer.mac.as_deref())?,
        ..Traits::default()
    })
}

fn parse_mac(field: &str, text: Option<&str>) -> Result<Option<parse::Mac>> {
    text.map(|text| parse::mac(field, text)).transpose()
}

/// Both ends when they exist, are where they are wanted, belong together and are not about to be deleted.
fn find_pair(sites: &mut Sites, veth: &Veth, far_netns: &Netns) -> Result<Option<(Link, Link)>> {
    let near = sites.at(&veth.netns)?.link(&veth.name)?;
    let far = sites.at(&veth.peer.netns)?.link(&veth.peer.name)?;
    let (Some(near), Some(far)) = (near, far) else {
        return Ok(None);
    };
    if near.group == REAP_GROUP {
        return Ok(None);
    }
    let paired = are_paired(sites, veth, far_netns, (&near, &far))?;
    Ok(paired.then_some((near, far)))
}

/// Indices repeat from namespace to namespace, so that they alone do not prove that two ends are a pair.
fn are_paired(
    sites: &mut Sites,
    veth: &Veth,
    far_netns: &Netns,
    (near, far): (&Link, &Link),
) -> Result<bool> {
    let indices_match = near.kind == KIND
        && far.kind == KIND
        && near.lower == Some(far.index)
        && far.lower == Some(near.index);
    Ok(indices_match && near.lower_netns == sites.at(&veth.netns)?.number_of(far_netns)?)
}

/// Frees the names that stand in the way where they are ours to free; else says which is taken.
fn make_room(sites: &mut Sites, veth: &Veth, far_netns: &Netns, taken: Error) -> Result<()> {
    let near = sites.at(&veth.netns)?;
    if let Some(existing) = near.link(&veth.name)? {
        if may_delete(&veth.netns, KIND, &existing.kind) {
            return near.delete(&existing);
        }
        return Err(taken.at_link(&veth.name));
    }
    let Some(existing) = sites.at(&veth.peer.netns)?.link(&veth.peer.name)? else {
        // Gone in between, with the retired link that it belonged to.
        return Ok(());
    };
    if let Some(index) = existing.lower
        && let Some(other) = sites.at(&veth.netns)?.link_at(index)?
        && other.group == REAP_GROUP
        && are_paired(sites, veth, far_netns, (&other, &existing))?
    {
        return sites.at(&veth.netns)?.delete(&other);
    }
    Err(taken.at_link(&veth.peer.name).in_netns(&veth.peer.netns))
}
