//! One batch of ops, in order, up to the first that fails.
//!
//! Consecutive ops in one namespace gather in a [`Run`] that goes out in one send. What creates or deletes
//! links, writes a sysctl or announces is never in it: it goes alone, after the run before it has succeeded.
//! So an op that depends on a link never shares a send with the link's creation; only the contents of links
//! (up, addresses, routes, neighbours, forwarding entries) do.

use nix::errno::Errno;

use crate::{
    announce::Announcement,
    background::{Background, REAP_GROUP},
    bridge,
    content::{self, Content},
    error::{Error, Result},
    message::link::{self, Traits},
    netns::SWITCH,
    op::{Applied, Failure, Op, Veth},
    pair::{self, Far},
    parse,
    request::Request,
    site::Sites,
    sysctl, veth, vxlan,
    worker::contain,
};

/// Messages in one send. Their ACKs must fit the default receive buffer (208 KiB) all at once.
pub const SEND_MAX: usize = 96;

/// An error and the index of the op that it belongs to.
type Stopped = (usize, Error);

/// A message that waits for its send.
struct Waiting {
    op: usize,
    content: Content,
    /// The link at fault if it is refused, where it is not the op's own.
    link: Option<String>,
}

/// The run that is being gathered.
#[derive(Default)]
struct Run {
    netns: String,
    waiting: Vec<Waiting>,
}

/// Applies a batch; a panic in it becomes its failure.
pub fn apply(sites: &mut Sites, background: &Background, ops: &[Op]) -> Applied {
    let mut batch = Batch {
        sites,
        background,
        run: Run::default(),
        at: 0,
    };
    let outcome = contain(|| batch.apply_believing(ops)).unwrap_or_else(|panic| {
        batch.sites.spoil();
        Err((batch.at, panic))
    });
    batch.sites.leave();
    match outcome {
        Ok(()) => Applied {
            done: ops.len(),
            failed: None,
        },
        Err((index, error)) => refused(ops, index, error),
    }
}

/// The answer for a batch that stopped at an op.
pub fn refused(ops: &[Op], index: usize, error: Error) -> Applied {
    Applied {
        done: index,
        failed: ops.get(index).map(|op| Failure::new(index, op, error)),
    }
}

struct Batch<'a> {
    sites: &'a mut Sites,
    background: &'a Background,
    run: Run,
    /// The op being worked on.
    at: usize,
}

impl Batch<'_> {
    /// What an earlier batch found in the switch may be so no more: a failure only counts without it. What was done is
    /// so already, and done again is a success.
    fn apply_believing(&mut self, ops: &[Op]) -> std::result::Result<(), Stopped> {
        match self.apply(ops, 0) {
            Err((index, _)) if self.sites.forget_switch() => {
                self.run = Run::default();
                self.apply(ops, index)
            }
            outcome => outcome,
        }
    }

    fn apply(&mut self, ops: &[Op], from: usize) -> std::result::Result<(), Stopped> {
        for (index, op) in ops.iter().enumerate().skip(from) {
            self.at = index;
            if !content::is_content(op) || self.run.netns != op.netns() {
                self.flush()?;
            }
            if let Err(error) = self.step(index, op) {
                // What came before this op has still to be applied, and may fail first.
                self.flush()?;
                return Err((index, error));
            }
        }
        self.flush()
    }

    fn step(&mut self, index: usize, op: &Op) -> Result<()> {
        match op {
            Op::AddBridge(bridge) => bridge::add(self.sites, bridge),
            Op::AddVxlan(vxlan) => vxlan::add(self.sites, vxlan),
            Op::AddVeth(veth) => self.add_veth(index, veth),
            Op::SetPeer {
                netns,
                name,
                mtu,
                address,
                peer,
            } => {
                let far = Far {
                    mtu: *mtu,
                    address: address.as_deref(),
                };
                pair::set_far(self.sites, netns, name, &far, peer)
            }
            Op::DeleteLink { netns, name } => self.delete_link(netns, name),
            Op::RetireLink { netns, name } => self.retire_link(netns, name),
            Op::SetSysctl {
                netns,
                key,
                value,
                if_present,
            } => {
                let key = parse::sysctl_key("key", key)?;
                self.sites
                    .inside(netns, || sysctl::set(key, value, *if_present))
            }
            Op::Announce {
                netns,
                link,
                bridge,
                address,
            } => self.announce(netns, link, bridge, address),
            _ => self.gather(index, op),
        }
    }

    /// Adds an op to the run. Deleting from a link or a namespace that is gone is done already.
    fn gather(&mut self, index: usize, op: &Op) -> Result<()> {
        let site = self.sites.at(op.netns());
        match site.and_then(|site| content::prepare(site, op)) {
            Ok(content) => self.wait(index, op.netns(), content, None),
            Err(error) if content::is_deletion(op) && is_absence(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn wait(&mut self, op: usize, netns: &str, content: Content, link: Option<String>) {
        netns.clone_into(&mut self.run.netns);
        self.run.waiting.push(Waiting { op, content, link });
    }

    /// Sends the run. The first refusal that cannot be lived with stops the batch.
    fn flush(&mut self) -> std::result::Result<(), Stopped> {
        let run = std::mem::take(&mut self.run);
        for send in run.waiting.chunks(SEND_MAX) {
            let first = send.first().map_or(0, |waiting| waiting.op);
            let site = self.sites.at(&run.netns).map_err(|error| (first, error))?;
            let answers = site
                .socket
                .transact(send.iter().map(|waiting| &waiting.content.request))
                .map_err(|error| (first, error))?;
            for (waiting, answer) in send.iter().zip(answers) {
                let answer = match &waiting.content.inet6_of {
                    Some(link) if refuses_inet6(&answer) => {
                        retry_with_inet6(self.sites, &run.netns, link, &waiting.content.request)
                    }
                    _ => answer,
                };
                let site = self.sites.at(&run.netns).map_err(|error| (first, error))?;
                waiting.content.settle(site, answer).map_err(|error| {
                    let error = error.in_netns(&run.netns);
                    (
                        waiting.op,
                        match &waiting.link {
                            Some(link) => error.at_link(link),
                            None => error,
                        },
                    )
                })?;
            }
        }
        Ok(())
    }

    fn add_veth(&mut self, index: usize, veth: &Veth) -> Result<()> {
        veth::add(self.sites, veth)?;
        let peer = &veth.peer;
        if peer.up || peer.master.is_some() {
            let site = self.sites.at(&peer.netns)?;
            let traits = Traits {
                up: peer.up.then_some(true),
                master: site.master(peer.master.as_deref())?,
                ..Traits::default()
            };
            let content = Content::new(link::set(&peer.name, &traits));
            let link = Some(peer.name.clone());
            self.wait(index, &peer.netns, content, link);
        }
        Ok(())
    }

    fn delete_link(&mut self, netns: &str, name: &str) -> Result<()> {
        let name = parse::link_name("name", name)?;
        let Some(site) = self.sites.at_if_present(netns)? else {
            return Ok(());
        };
        site.forget(name);
        match site.socket.change(&link::delete(name)) {
            Err(error) if error.is(Errno::ENODEV) => Ok(()),
            outcome => outcome,
        }
    }

    fn retire_link(&mut self, netns: &str, name: &str) -> Result<()> {
        let name = parse::link_name("name", name)?;
        let Some(site) = self.sites.at_if_present(netns)? else {
            return Ok(());
        };
        site.forget(name);
        let Some(found) = site.link(name)? else {
            return Ok(());
        };
        let retired = Traits {
            master: Some(0),
            group: Some(REAP_GROUP),
            ..Traits::default()
        };
        match site.socket.change(&link::set_index(found.index, &retired)) {
            Err(error) if error.is(Errno::ENODEV) => return Ok(()),
            outcome => outcome?,
        }
        let rename = link::rename(found.index, &format!("wr{:x}", found.index));
        if site.socket.change(&rename).is_err() {
            // Before Linux 6.2 a link that is up keeps its name. Down it goes only then: that waits for RCU by itself.
            let down = Traits {
                up: Some(false),
                ..Traits::default()
            };
            // A link that keeps its name after all is deleted all the same.
            let _ = site
                .socket
                .transact([&link::set_index(found.index, &down), &rename]);
        }
        self.background.reap(&site.netns);
        Ok(())
    }

    fn announce(&mut self, netns: &str, link: &str, bridge: &str, address: &str) -> Result<()> {
        let name = parse::link_name("link", link)?;
        let address = parse::ip("address", address)?;
        let bridge = parse::link_name("bridge", bridge)?;
        let bridge = self.sites.at(SWITCH)?.index(bridge)?;
        let site = self.sites.at(netns)?;
        let netns = site.netns.clone();
        let found = site.known(name)?;
        self.background.announce(Announcement {
            netns,
            link: found.index,
            mac: parse::octets("link", &found.mac)?,
            bridge,
            address,
        });
        Ok(())
    }
}

/// EACCES is how an IPv6 address is refused on a link that has `disable_ipv6` set.
fn refuses_inet6(answer: &Result<()>) -> bool {
    matches!(answer, Err(error) if error.is(Errno::EACCES))
}

/// Engines turn IPv6 off in a sandbox without IPv6 networks of theirs. Only then is /proc/sys touched: its look-ups take
/// longer with every namespace there is.
fn retry_with_inet6(sites: &mut Sites, netns: &str, link: &str, request: &Request) -> Result<()> {
    let key = format!("net/ipv6/conf/{link}/disable_ipv6");
    sites.inside(netns, || sysctl::set(&key, "0", false))?;
    sites.at(netns)?.socket.change(request)
}

fn is_absence(error: &Error) -> bool {
    error.is(Errno::ENOENT) || error.is(Errno::ENODEV)
}
