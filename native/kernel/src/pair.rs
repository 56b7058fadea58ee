//! The far end of a pair that somebody moved and renamed since it was made: found by its index, never by its name.

use nix::errno::Errno;

use crate::{
    error::{Error, Result},
    link::Link,
    message::link::{self, Traits},
    netns::HOST,
    parse,
    site::{Site, Sites},
};

const KIND: &str = "veth";

/// What can be seen of the other end from here, whatever namespace it is in.
pub fn far_of(site: &mut Site, near: &Link) -> Result<Option<Link>> {
    let Some(index) = near.lower.filter(|_| near.kind == KIND) else {
        return Ok(None);
    };
    let payload = match site
        .socket
        .get(&link::get_index_in(index, near.lower_netns))
    {
        // It went meanwhile, or before Linux 4.17 nothing is told of it.
        Err(error) if [Errno::ENODEV, Errno::EINVAL].iter().any(|&e| error.is(e)) => {
            return Ok(None);
        }
        outcome => outcome?,
    };
    Ok(Link::parse(&payload).filter(|far| far.kind == KIND && far.lower == Some(near.index)))
}

/// Sets the MTU of the other end of a pair: in the namespace `peer`, or still in the host.
pub fn set_far_mtu(sites: &mut Sites, netns: &str, name: &str, mtu: u32, peer: &str) -> Result<()> {
    let name = parse::link_name("name", name)?;
    let site = sites.at(netns)?;
    let absent = |what: String| Error::new(Errno::ENODEV, what).at_link(name);
    let near = site
        .link(name)?
        .ok_or_else(|| absent(format!("there is no link \"{name}\"")))?;
    let index = near.lower.filter(|_| near.kind == KIND);
    for place in [peer, HOST] {
        let Some(there) = sites.at_if_present(place)?.map(|site| site.netns.clone()) else {
            continue;
        };
        if near.lower_netns != sites.at(netns)?.number_of(&there)? {
            continue;
        }
        let site = sites.at(place)?;
        let far = index.map_or(Ok(None), |index| site.link_at(index))?;
        if let Some(far) = far.filter(|far| far.kind == KIND && far.lower == Some(near.index)) {
            let traits = Traits {
                mtu: Some(mtu),
                ..Traits::default()
            };
            return site.adjust(&far, &traits);
        }
    }
    Err(absent(format!(
        "the other end of \"{name}\" is not in {peer}"
    )))
}
