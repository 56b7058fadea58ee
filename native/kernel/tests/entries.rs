//! What is programmed instead of learned: forwarding entries of the device and of its bridge, neighbours that answer ARP and
//! ND, and how a port is one.

// A test may panic, also in its helpers.
#![allow(clippy::unwrap_used)]

mod lab;

use std::{thread::sleep, time::Duration};

use lab::{Container, Host, MTU, address, attach, cable, pair};
use weave_kernel::{Op, Veth, Vxlan};

const FAR: &str = "02:00:00:00:0b:0b";

fn vxlan(local: &str) -> Op {
    Op::AddVxlan(Vxlan {
        netns: "switch".to_owned(),
        name: "vx0".to_owned(),
        vni: 42,
        port: 4789,
        mtu: MTU,
        master: "br0".to_owned(),
        local: Some(local.to_owned()),
    })
}

fn fdb(link: &str, mac: &str, destination: Option<&str>) -> Op {
    Op::AddFdb {
        netns: "switch".to_owned(),
        link: link.to_owned(),
        mac: mac.to_owned(),
        destination: destination.map(ToOwned::to_owned),
    }
}

fn delete_fdb(link: &str, mac: &str, destination: Option<&str>) -> Op {
    Op::DeleteFdb {
        netns: "switch".to_owned(),
        link: link.to_owned(),
        mac: mac.to_owned(),
        destination: destination.map(ToOwned::to_owned),
    }
}

fn neighbour(address: &str, mac: &str) -> Op {
    Op::AddNeighbour {
        netns: "switch".to_owned(),
        link: "br0".to_owned(),
        address: address.to_owned(),
        mac: mac.to_owned(),
    }
}

/// IPv6 on a bridge without any address.
fn silent_ipv6() -> Vec<Op> {
    [
        ("addr_gen_mode", "1"),
        ("accept_ra", "0"),
        ("disable_ipv6", "0"),
    ]
    .map(|(key, value)| Op::SetSysctl {
        netns: "switch".to_owned(),
        key: format!("net/ipv6/conf/br0/{key}"),
        value: value.to_owned(),
        if_present: false,
    })
    .to_vec()
}

fn with_vxlan() -> Host {
    let host = Host::with_bridge();
    host.apply_all(vec![
        address("host", "lo", "192.0.2.1/32"),
        vxlan("192.0.2.1"),
    ]);
    host
}

/// Of a port: where frames for the MAC go from the device, and `bridge` where its bridge sends them to it.
fn entries(host: &Host, link: &str, mac: &str) -> Vec<String> {
    let observed = host.observe("switch", None).fdb;
    let found = observed
        .into_iter()
        .filter(|entry| entry.link == link && entry.mac == mac);
    let mut found: Vec<String> = found
        .map(|entry| entry.destination.unwrap_or_else(|| "bridge".to_owned()))
        .collect();
    found.sort();
    found
}

#[test]
fn an_entry_is_the_devices_and_its_bridges() {
    let host = with_vxlan();
    for _ in 0..2 {
        host.apply_all(vec![fdb("vx0", FAR, Some("192.0.2.2"))]);
    }
    assert_eq!(entries(&host, "vx0", FAR), ["192.0.2.2", "bridge"]);
    host.apply_all(vec![fdb("vx0", FAR, Some("192.0.2.3"))]);
    assert_eq!(entries(&host, "vx0", FAR), ["192.0.2.3", "bridge"]);
    // Whichever of the two somebody took away already.
    for command in [
        "",
        "bridge fdb del 02:00:00:00:0b:0b dev vx0 master",
        "bridge fdb del 02:00:00:00:0b:0b dev vx0 self",
        "ip link set vx0 nomaster",
    ] {
        host.apply_all(vec![vxlan("192.0.2.1"), fdb("vx0", FAR, Some("192.0.2.3"))]);
        if !command.is_empty() {
            host.in_switch(command);
        }
        for _ in 0..2 {
            host.apply_all(vec![delete_fdb("vx0", FAR, Some("192.0.2.3"))]);
        }
        assert_eq!(entries(&host, "vx0", FAR), [""; 0], "{command}");
    }
}

#[test]
fn an_entry_of_the_bridge_alone() {
    let host = Host::with_bridge();
    let a = Container::new();
    host.apply_all(vec![Op::AddVeth(Veth {
        isolated: true,
        ..pair("va", &a)
    })]);
    for _ in 0..2 {
        host.apply_all(vec![fdb("va", FAR, None)]);
    }
    assert_eq!(entries(&host, "va", FAR), ["bridge"]);
    let named = host.observe("switch", Some(&["va"]));
    assert_eq!(named.fdb.len(), 1, "by name too: {named:?}");
    for _ in 0..2 {
        host.apply_all(vec![delete_fdb("va", FAR, None)]);
    }
    assert_eq!(entries(&host, "va", FAR), [""; 0]);
    let failed = host.fails(vec![fdb("va", "00:00:00:00:00:00", None)]);
    assert_eq!(failed.code, "EINVAL");
}

#[test]
fn what_was_given_does_not_age_and_is_no_address_of_the_bridge() {
    let host = with_vxlan();
    host.apply_all(vec![fdb("vx0", FAR, Some("192.0.2.2"))]);
    // Hundredths of a second.
    host.in_switch("ip link set br0 type bridge ageing_time 100");
    sleep(Duration::from_millis(2500));
    assert_eq!(entries(&host, "vx0", FAR), ["192.0.2.2", "bridge"]);
    host.in_switch("ip link set vx0 down");
    host.apply_all(vec![vxlan("192.0.2.1")]);
    assert_eq!(
        entries(&host, "vx0", FAR),
        ["192.0.2.2", "bridge"],
        "nor goes with the link being up"
    );
}

#[test]
fn the_device_is_a_quiet_port_and_is_made_one_again() {
    let host = with_vxlan();
    let port = || {
        let link = host.link("switch", "vx0").unwrap();
        (link.quiet, link.isolated, link.local)
    };
    let right = (true, true, Some("192.0.2.1".to_owned()));
    assert_eq!(port(), right);
    for meddling in ["learning on", "neigh_suppress off", "isolated off"] {
        host.in_switch(&format!("ip link set vx0 type bridge_slave {meddling}"));
        assert_ne!(port(), right, "{meddling}");
        host.apply_all(vec![vxlan("192.0.2.1")]);
        assert_eq!(port(), right, "{meddling}");
    }
}

#[test]
fn a_bridge_without_ipv6_takes_no_neighbour_of_it() {
    let host = with_vxlan();
    let all = Op::SetSysctl {
        netns: "switch".to_owned(),
        key: "net/ipv6/conf/all/disable_ipv6".to_owned(),
        value: "1".to_owned(),
        if_present: false,
    };
    host.apply_all(vec![all]);
    assert_eq!(host.fails(vec![neighbour("fd00::3", FAR)]).code, "EINVAL");
    host.apply_all(silent_ipv6());
    host.apply_all(vec![neighbour("fd00::3", FAR), neighbour("10.32.0.3", FAR)]);
    let seen = host.observe("switch", Some(&["br0"]));
    assert_eq!(seen.neighbours.len(), 2, "{seen:?}");
    assert_eq!(seen.addresses, [], "it has no address of its own");
}

/// Both hosts know the other's endpoint, and flood nothing: whatever is asked is answered on its own host.
#[test]
fn arp_and_nd_for_the_known_are_answered_locally() {
    let (one, two) = (Host::with_bridge(), Host::with_bridge());
    one.apply_all(vec![cable(&two)]);
    let (a, b) = (Container::new(), Container::new());
    one.apply_all(attach("va", &a, 2));
    two.apply_all(attach("vb", &b, 3));
    let mac = |host: &Host, container: &Container| host.link(&container.path, "ethwe").unwrap().mac;
    let (mac_a, mac_b) = (mac(&one, &a), mac(&two, &b));
    for (host, own, other, far, last) in [
        (&one, "192.0.2.1", "192.0.2.2", &mac_b, 3),
        (&two, "192.0.2.2", "192.0.2.1", &mac_a, 2),
    ] {
        let mut ops = vec![address("host", "eth0", &format!("{own}/24")), vxlan(own)];
        ops.extend(silent_ipv6());
        ops.extend([
            fdb("vx0", far, Some(other)),
            neighbour(&format!("10.32.0.{last}"), far),
            neighbour(&format!("fd00::{last}"), far),
        ]);
        host.apply_all(ops);
    }
    assert!(a.pings("10.32.0.3"));
    assert!(b.pings("fd00::2"));
}
