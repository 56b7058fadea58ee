//! Two hosts, joined by VXLAN over an underlay, each with its own switch.

// A test may panic, also in its helpers.
#![allow(clippy::unwrap_used)]

mod lab;

use lab::{Container, Host, MTU, address, attach, cable};
use weave_kernel::{Op, Vxlan};

const FLOOD: &str = "00:00:00:00:00:00";

fn vxlan(name: &str, vni: u32) -> Vxlan {
    Vxlan {
        netns: "switch".to_owned(),
        name: name.to_owned(),
        vni,
        port: 4789,
        mtu: MTU,
        master: "br0".to_owned(),
        local: None,
    }
}

fn fdb(mac: &str, destination: &str) -> Op {
    Op::AddFdb {
        netns: "switch".to_owned(),
        link: "vx0".to_owned(),
        mac: mac.to_owned(),
        destination: Some(destination.to_owned()),
    }
}

fn delete_fdb(mac: &str, destination: &str) -> Op {
    Op::DeleteFdb {
        netns: "switch".to_owned(),
        link: "vx0".to_owned(),
        mac: mac.to_owned(),
        destination: Some(destination.to_owned()),
    }
}

fn neighbour(container: &Container, address: &str, mac: &str) -> Op {
    Op::AddNeighbour {
        netns: container.path.clone(),
        link: "ethwe".to_owned(),
        address: address.to_owned(),
        mac: mac.to_owned(),
    }
}

/// `eth0` of both hosts, `192.168.7.1` and `.2`, `fd07::1` and `::2`.
fn underlay(one: &Host, two: &Host) {
    one.apply_all(vec![
        cable(two),
        address("host", "eth0", "192.168.7.1/24"),
        address("host", "eth0", "fd07::1/64"),
    ]);
    two.apply_all(vec![
        address("host", "eth0", "192.168.7.2/24"),
        address("host", "eth0", "fd07::2/64"),
    ]);
}

fn mac_of(host: &Host, container: &Container) -> String {
    host.link(&container.path, "ethwe").unwrap().mac
}

fn joined(vxlan: &Vxlan, addresses: [&str; 2]) -> (Host, Host, Container, Container) {
    let (one, two) = (Host::with_bridge(), Host::with_bridge());
    underlay(&one, &two);
    let (a, b) = (Container::new(), Container::new());
    one.apply_all(attach("va", &a, 2));
    two.apply_all(attach("vb", &b, 3));
    for (host, local, remote) in [(&one, 0, 1), (&two, 1, 0)] {
        let mut vxlan = vxlan.clone();
        vxlan.local = Some(addresses[local].to_owned());
        host.apply_all(vec![Op::AddVxlan(vxlan), fdb(FLOOD, addresses[remote])]);
    }
    (one, two, a, b)
}

#[test]
fn containers_on_two_hosts_ping_each_other() {
    let (_one, _two, a, b) = joined(&vxlan("vx0", 42), ["192.168.7.1", "192.168.7.2"]);
    assert!(a.pings("10.32.0.3"));
    assert!(b.pings("fd00::2"));
}

#[test]
fn the_underlay_may_be_ipv6() {
    let (_one, _two, a, _b) = joined(&vxlan("vx0", 42), ["fd07::1", "fd07::2"]);
    assert!(a.pings("10.32.0.3"));
}

#[test]
fn programmed_entries_need_no_flood() {
    let (one, two, a, b) = joined(&vxlan("vx0", 42), ["192.168.7.1", "192.168.7.2"]);
    let (mac_a, mac_b) = (mac_of(&one, &a), mac_of(&two, &b));
    one.apply_all(vec![
        delete_fdb(FLOOD, "192.168.7.2"),
        fdb(&mac_b, "192.168.7.2"),
        neighbour(&a, "10.32.0.3", &mac_b),
        neighbour(&a, "fd00::3", &mac_b),
    ]);
    two.apply_all(vec![
        delete_fdb(FLOOD, "192.168.7.1"),
        fdb(&mac_a, "192.168.7.1"),
        neighbour(&b, "10.32.0.2", &mac_a),
        neighbour(&b, "fd00::2", &mac_a),
    ]);
    assert!(a.pings("10.32.0.3"));
    assert!(a.pings("fd00::3"));
    let seen = a.ip("neigh show 10.32.0.3");
    assert!(
        seen.contains("PERMANENT") && seen.contains(&mac_b),
        "{seen}"
    );
}

#[test]
fn the_device_is_in_the_switch_and_its_socket_in_the_host() {
    let (one, _two, _a, _b) = joined(&vxlan("vx0", 42), ["192.168.7.1", "192.168.7.2"]);
    let seen = one.ip("link show vx0");
    for fact in [
        r#""id":42"#,
        r#""port":4789"#,
        r#""learning":false"#,
        r#""master":"br0""#,
        r#""mtu":1450"#,
    ] {
        assert!(seen.contains(fact), "{fact} in {seen}");
    }
    let sockets = one.container.run("cat /proc/thread-self/net/udp").stdout;
    // Port 4789.
    assert!(String::from_utf8(sockets).unwrap().contains(":12B5"));
    assert!(!one.container.ip("link show").contains("vx0"));
}

#[test]
fn the_flood_entry_is_a_list_and_any_other_is_replaced() {
    let (one, _two, _a, _b) = joined(&vxlan("vx0", 42), ["192.168.7.1", "192.168.7.2"]);
    let mac = "02:00:00:00:0b:0b";
    one.apply_all(vec![
        fdb(FLOOD, "192.168.7.3"),
        fdb(FLOOD, "192.168.7.3"),
        fdb(mac, "192.168.7.2"),
        fdb(mac, "192.168.7.3"),
        fdb("01:00:5e:00:00:fb", "192.168.7.2"),
        fdb("01:00:5e:00:00:fb", "192.168.7.3"),
    ]);
    let entries = |mac: &str| -> Vec<String> {
        let observed = one.observe("switch", Some(&["vx0"])).fdb;
        let mut found: Vec<String> = observed
            .into_iter()
            .filter(|entry| entry.mac == mac)
            .filter_map(|entry| entry.destination)
            .collect();
        found.sort();
        found
    };
    assert_eq!(entries(FLOOD), ["192.168.7.2", "192.168.7.3"]);
    assert_eq!(entries(mac), ["192.168.7.3"]);
    assert_eq!(entries("01:00:5e:00:00:fb"), ["192.168.7.2", "192.168.7.3"]);
    one.apply_all(vec![
        delete_fdb(FLOOD, "192.168.7.2"),
        delete_fdb(FLOOD, "192.168.7.2"),
        delete_fdb(mac, "192.168.7.3"),
        delete_fdb(mac, "192.168.7.3"),
    ]);
    assert_eq!(entries(FLOOD), ["192.168.7.3"]);
    assert_eq!(entries(mac), [""; 0]);
}

#[test]
fn an_existing_device_is_kept_when_it_is_the_same_and_made_anew_when_not() {
    let host = Host::with_bridge();
    host.apply_all(vec![Op::AddVxlan(vxlan("vx0", 42))]);
    let first = host.link("switch", "vx0").unwrap();
    let mut smaller = vxlan("vx0", 42);
    smaller.mtu = 1370;
    host.apply_all(vec![Op::AddVxlan(smaller)]);
    let second = host.link("switch", "vx0").unwrap();
    assert_eq!((second.index, second.mtu), (first.index, 1370));
    host.apply_all(vec![Op::AddVxlan(vxlan("vx0", 43))]);
    let third = host.link("switch", "vx0").unwrap();
    assert_ne!(third.index, first.index);
    assert_eq!((third.vni, third.port), (Some(43), Some(4789)));
}

#[test]
fn a_vni_that_another_device_has_is_a_failure_in_the_kernels_words() {
    let host = Host::with_bridge();
    host.apply_all(vec![Op::AddVxlan(vxlan("vx0", 42))]);
    let failed = host.fails(vec![Op::AddVxlan(vxlan("vx1", 42))]);
    assert_eq!(
        (failed.code.as_str(), failed.link.as_deref()),
        ("EEXIST", Some("vx1"))
    );
    assert!(failed.message.contains("VNI"), "{}", failed.message);
}

#[test]
fn ten_thousand_entries_are_taken_and_read_back() {
    let host = Host::with_bridge();
    host.apply_all(vec![Op::AddVxlan(vxlan("vx0", 42))]);
    let mac = |n: u32| {
        format!(
            "02:00:00:{:02x}:{:02x}:{:02x}",
            n >> 16 & 255,
            n >> 8 & 255,
            n & 255
        )
    };
    host.apply_all((0..10_000).map(|n| fdb(&mac(n), "192.168.7.2")).collect());
    let observed = host.observe("switch", None);
    assert_eq!(observed.code, None);
    assert_eq!(
        observed.fdb.len(),
        20_000,
        "of the device, and of its bridge"
    );
}
