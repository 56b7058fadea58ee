//! Far ends of pairs that somebody else moved and renamed.

#![allow(clippy::unwrap_used)]

mod lab;

use lab::{Container, Host, MTU, delete_link, pair};
use weave_kernel::{Op, Peer, Veth};

fn set_peer(name: &str, mtu: u32, peer: &str) -> Op {
    Op::SetPeer {
        netns: "switch".to_owned(),
        name: name.to_owned(),
        mtu,
        peer: peer.to_owned(),
    }
}

/// A pair as an engine wants it: down, in the host.
fn handover(host: &Host, name: &str) {
    let veth = pair(name, &host.container);
    host.apply_all(vec![Op::AddVeth(Veth {
        peer: Peer {
            netns: "host".to_owned(),
            name: format!("h{name}"),
            up: false,
            ..veth.peer
        },
        ..veth
    })]);
}

/// As an engine does.
fn take(host: &Host, link: &str, to: &Container, name: &str) {
    let path = to.path.replace("self", &std::process::id().to_string());
    let moved = host
        .container
        .run(&format!("ip link set {link} netns {path}"));
    assert!(moved.status.success(), "{moved:?}");
    let renamed = to.run(&format!("ip link set {link} name {name} up"));
    assert!(renamed.status.success(), "{renamed:?}");
}

fn mtu_inside(container: &Container, link: &str) -> String {
    let seen = container.ip(&format!("link show {link}"));
    let (_, rest) = seen.split_once("\"mtu\":").unwrap();
    rest.split(',').next().unwrap().to_owned()
}

fn peer_mtu(host: &Host, name: &str) -> Option<u32> {
    host.link("switch", name).unwrap().peer_mtu
}

#[test]
fn the_mtu_of_the_other_end_is_seen_wherever_it_is() {
    let host = Host::with_bridge();
    let a = Container::new();
    handover(&host, "va");
    assert_eq!(peer_mtu(&host, "va"), Some(MTU));
    take(&host, "hva", &a, "eth0");
    a.run("ip link set eth0 mtu 1290");
    assert_eq!(peer_mtu(&host, "va"), Some(1290));
    let whole = host.observe("switch", None);
    let near = whole.links.iter().find(|link| link.name == "va").unwrap();
    assert_eq!(near.peer_mtu, Some(1290), "with all others");
    assert_eq!(host.link("switch", "br0").unwrap().peer_mtu, None);
}

#[test]
fn two_ends_in_one_namespace_see_each_other() {
    let host = Host::with_bridge();
    let veth = pair("va", &host.container);
    let peer = Peer {
        netns: "switch".to_owned(),
        name: "vb".to_owned(),
        mtu: 1290,
        ..veth.peer
    };
    host.apply_all(vec![Op::AddVeth(Veth { peer, ..veth })]);
    assert_eq!(
        (peer_mtu(&host, "va"), peer_mtu(&host, "vb")),
        (Some(1290), Some(MTU))
    );
    host.apply_all(vec![set_peer("va", 1300, "switch")]);
    assert_eq!(peer_mtu(&host, "va"), Some(1300));
}

#[test]
fn the_other_end_is_set_wherever_it_is() {
    let host = Host::with_bridge();
    let a = Container::new();
    handover(&host, "va");
    host.apply_all(vec![set_peer("va", 1300, &a.path)]);
    assert_eq!(peer_mtu(&host, "va"), Some(1300), "not moved yet");
    take(&host, "hva", &a, "eth0");
    host.apply_all(vec![
        set_peer("va", 1310, &a.path),
        set_peer("va", 1310, &a.path),
    ]);
    assert_eq!(mtu_inside(&a, "eth0"), "1310");
    assert_eq!(
        host.link("switch", "va").unwrap().mtu,
        MTU,
        "this end is left"
    );
}

/// Containers that are alike have the same indices: nobody else's link may be taken for the other end.
#[test]
fn a_stranger_with_its_index_is_not_the_other_end() {
    let host = Host::with_bridge();
    let (a, b) = (Container::new(), Container::new());
    host.apply_all(vec![
        Op::AddVeth(pair("va", &a)),
        Op::AddVeth(pair("vb", &b)),
    ]);
    let index = |container: &Container| host.link(&container.path, "ethwe").unwrap().index;
    assert_eq!(index(&a), index(&b));
    let failed = host.fails(vec![set_peer("va", 1300, &b.path)]);
    assert_eq!(
        (failed.code.as_str(), failed.link.as_deref()),
        ("ENODEV", Some("va"))
    );
    assert_eq!(
        (mtu_inside(&a, "ethwe"), mtu_inside(&b, "ethwe")),
        ("1450".to_owned(), "1450".to_owned())
    );
}

#[test]
fn what_is_gone_cannot_be_set() {
    let host = Host::with_bridge();
    let a = Container::new();
    host.apply_all(vec![Op::AddVeth(pair("va", &a))]);
    let failed = host.fails(vec![set_peer("va", 1300, "/nowhere/at/all")]);
    assert_eq!(failed.code, "ENODEV", "its namespace cannot be found");
    host.apply_all(vec![delete_link("switch", "va")]);
    assert_eq!(
        host.fails(vec![set_peer("va", 1300, &a.path)]).code,
        "ENODEV"
    );
    assert_eq!(
        host.fails(vec![set_peer("br0", 1300, &a.path)]).code,
        "ENODEV",
        "a bridge has none"
    );
}
