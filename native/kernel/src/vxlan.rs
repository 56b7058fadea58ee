//! A VXLAN device, made or made right. Its UDP socket lives in the host's namespace, the device elsewhere.

use nix::errno::Errno;

use crate::{
    bridge::may_delete,
    error::Result,
    link::Link,
    message::link::{self, Port, Traits, add_vxlan},
    netns::{HOST, Netns},
    op::Vxlan,
    parse,
    site::{Site, Sites},
};

const KIND: &str = "vxlan";
/// What is behind it is programmed, not learned; and what is isolated as well, a host's own gateway, stays on its host.
const PORT: Port = Port {
    quiet: true,
    isolated: true,
};

pub fn add(sites: &mut Sites, vxlan: &Vxlan) -> Result<()> {
    let name = parse::link_name("name", &vxlan.name)?;
    let device = link::Vxlan {
        vni: parse::vni("vni", vxlan.vni)?,
        port: parse::port("port", vxlan.port)?,
        local: match &vxlan.local {
            Some(local) => Some(parse::ip("local", local)?),
            None => None,
        },
    };
    let site = sites.at(&vxlan.netns)?;
    site.forget(name);
    let traits = Traits {
        up: Some(true),
        mtu: Some(vxlan.mtu),
        master: site.master(Some(&vxlan.master))?,
        ..Traits::default()
    };
    make(sites, vxlan, &traits, &device)?;
    sites.at(&vxlan.netns)?.set_port(name, PORT)
}

fn make(sites: &mut Sites, vxlan: &Vxlan, traits: &Traits, device: &link::Vxlan) -> Result<()> {
    let name = &vxlan.name;
    let host = sites.at(HOST)?.netns.clone();
    let request = add_vxlan(name, traits, device, &sites.at(&vxlan.netns)?.netns);
    match sites.at(HOST)?.socket.change(&request) {
        Err(error) if error.is(Errno::EEXIST) => {
            let site = sites.at(&vxlan.netns)?;
            // Also EEXIST: another device of this host has the same VNI and port. The kernel's words say so.
            let Some(existing) = site.link(name)? else {
                return Err(error);
            };
            if is_same(site, &existing, device, &host)? {
                return site.adjust(&existing, traits);
            }
            if !may_delete(&vxlan.netns, KIND, &existing.kind) {
                return Err(error);
            }
            site.delete(&existing)?;
            sites.at(HOST)?.socket.change(&request)
        }
        outcome => outcome,
    }
}

fn is_same(site: &mut Site, existing: &Link, wanted: &link::Vxlan, host: &Netns) -> Result<bool> {
    let same_device = existing.kind == KIND
        && existing.vni == Some(wanted.vni)
        && existing.port == Some(wanted.port)
        && existing.local == wanted.local;
    Ok(same_device && existing.lower_netns == site.number_of(host)?)
}
