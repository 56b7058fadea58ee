//! Far ends of pairs that somebody else moved and renamed.

#![allow(clippy::unwrap_used)]

mod lab;

use lab::{Container, Host, MTU, delete_link, pair};
use weave_kernel::{Op, Peer, Veth};

fn set_peer(name: &str, mtu: u32, peer: &str) -> Op {
    Op::SetPeer {
        netns: "switch".to_owned(),
        name: name.to_owned(),
        mtu: Some(mtu),
        address: None,
        peer: peer.to_owned(),
    }
}

fn readdress(name: &str, address: &str, peer: &str) -> Op {
    Op::SetPeer {
        netns: "switch".to_owned(),
        name: name.to_owned(),
        mtu: None,
        address: Some(address.to_owned()),
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

fn shown(container: &Container, command: &str) -> Vec<String> {
    let output = container.run(command);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| line.trim_end().to_owned())
        .filter(|line| !line.contains("fe80::"))
        .collect()
}

/// As an engine sets it up, with a way out over a gateway of the subnet.
fn engines(host: &Host) -> Container {
    let a = Container::new();
    handover(host, "va");
    take(host, "hva", &a, "eth0");
    for command in [
        "ip addr add 10.9.0.5/24 brd 10.9.0.255 dev eth0",
        "ip addr add fd00:9::5/112 dev eth0 nodad",
        "ip route add default via 10.9.0.1",
        "ip -6 route add default via fd00:9::1",
        "ip route add 224.0.0.0/4 dev eth0",
    ] {
        assert!(a.run(command).status.success(), "{command}");
    }
    a
}

#[test]
fn an_address_gets_another_prefix_length_and_what_it_leads_to_stays() {
    let host = Host::with_bridge();
    let a = engines(&host);
    let widen = || {
        host.apply_all(vec![
            readdress("va", "10.9.0.5/23", &a.path),
            readdress("va", "fd00:9::5/104", &a.path),
        ]);
    };
    widen();
    let routes = |family: &str| shown(&a, &format!("ip {family} route show dev eth0 scope global"));
    for _ in 0..2 {
        let addresses = shown(&a, "ip -o addr show dev eth0").join("\n");
        assert!(addresses.contains("10.9.0.5/23 brd 10.9.1.255 "));
        assert!(addresses.contains("fd00:9::5/104 "));
        assert!(!addresses.contains("/24") && !addresses.contains("/112"));
        assert_eq!(routes("-4"), ["default via 10.9.0.1"]);
        let six = routes("-6").join("\n");
        assert!(six.contains("default via fd00:9::1") && six.contains("fd00:9::/104"));
        assert!(!six.contains("/112"));
        let links = shown(&a, "ip -4 route show dev eth0 scope link").join("\n");
        assert!(links.contains("224.0.0.0/4") && links.contains("10.9.0.0/23"));
        widen();
    }
}

#[test]
fn an_address_that_the_other_end_does_not_have_is_not_given_to_it() {
    let host = Host::with_bridge();
    let a = engines(&host);
    let before = shown(&a, "ip -o addr show dev eth0");
    host.apply_all(vec![readdress("va", "10.9.0.6/23", &a.path)]);
    assert_eq!(shown(&a, "ip -o addr show dev eth0"), before);
    let failed = host.fails(vec![readdress("va", "10.9.0.5", &a.path)]);
    assert_eq!(failed.code, "EINVAL");
}
