//! The end of a switch.

use std::path::Path;

use nix::errno::Errno;

use crate::{
    apply::SEND_MAX,
    background::REAP_GROUP,
    error::Result,
    message::link::{self, Traits},
    netns::SWITCH,
    observe, pin,
    site::Site,
    worker::Worker,
};

/// Deleting the links first makes `destroy` answer when they are gone; the namespace itself is taken
/// down by the kernel later, and until then a VXLAN device would keep its VNI on the host.
pub fn demolish(worker: &mut Worker, path: &Path) -> Result<()> {
    worker.background.finish();
    let site = worker.sites.at(SWITCH)?;
    delete_all(site)?;
    pin::unpin(path)
}

fn delete_all(site: &mut Site) -> Result<()> {
    let doomed = Traits {
        group: Some(REAP_GROUP),
        ..Traits::default()
    };
    let links = observe::links(site)?;
    let mark: Vec<_> = links
        .iter()
        .filter(|link| link.name != "lo")
        .map(|link| link::set_index(link.index, &doomed))
        .collect();
    if mark.is_empty() {
        return Ok(());
    }
    for send in mark.chunks(SEND_MAX) {
        site.socket.transact(send)?;
    }
    match site.socket.change(&link::delete_group(REAP_GROUP)) {
        Err(error) if error.is(Errno::ENODEV) => Ok(()),
        outcome => outcome,
    }
}
