//! Addresses, routes, neighbours, sysctls: what is on a link.

// A test may panic, also in its helpers.
#![allow(clippy::unwrap_used)]

mod lab;

use lab::{Container, Host, address, attach, pair, route};
use weave_kernel::Op;

fn delete_address(netns: &str, address: &str) -> Op {
    Op::DeleteAddress {
        netns: netns.to_owned(),
        link: "ethwe".to_owned(),
        address: address.to_owned(),
    }
}

fn delete_route(netns: &str, destination: &str, gateway: Option<&str>) -> Op {
    Op::DeleteRoute {
        netns: netns.to_owned(),
        link: "ethwe".to_owned(),
        destination: destination.to_owned(),
        gateway: gateway.map(ToOwned::to_owned),
    }
}

fn sysctl(netns: &str, key: &str, value: &str, if_present: bool) -> Op {
    Op::SetSysctl {
        netns: netns.to_owned(),
        key: key.to_owned(),
        value: value.to_owned(),
        if_present,
    }
}

fn attached() -> (Host, Container) {
    let host = Host::with_bridge();
    let container = Container::new();
    host.apply_all(vec![Op::AddVeth(pair("va", &container))]);
    (host, container)
}

#[test]
fn addresses_come_and_go_and_doing_it_twice_is_a_success() {
    let (host, a) = attached();
    for _ in 0..2 {
        host.apply_all(vec![
            address(&a.path, "ethwe", "10.1.2.3/24"),
            address(&a.path, "ethwe", "10.1.2.4/32"),
            address(&a.path, "ethwe", "fd00::1/64"),
        ]);
    }
    let seen = a.ip("addr show ethwe");
    assert!(
        seen.contains(r#""local":"10.1.2.3","prefixlen":24,"broadcast":"10.1.2.255""#),
        "{seen}"
    );
    assert!(
        seen.contains(r#""local":"10.1.2.4","prefixlen":32,"scope""#),
        "no broadcast: {seen}"
    );
    assert!(
        seen.contains(r#""local":"fd00::1","prefixlen":64"#),
        "{seen}"
    );
    assert!(seen.contains(r#""nodad":true"#), "{seen}");
    assert!(
        !seen.contains("tentative") || seen.contains("fe80"),
        "{seen}"
    );
    for _ in 0..2 {
        host.apply_all(vec![
            delete_address(&a.path, "10.1.2.3/24"),
            delete_address(&a.path, "10.1.2.4/32"),
            delete_address(&a.path, "fd00::1/64"),
        ]);
    }
    let left = host.observe(&a.path, Some(&["ethwe"])).addresses;
    assert!(
        left.iter().all(|found| found.address.starts_with("fe80")),
        "{left:?}"
    );
}

#[test]
fn routes_come_and_go_and_doing_it_twice_is_a_success() {
    let (host, a) = attached();
    let routes = [
        ("0.0.0.0/0", Some("10.1.2.1")),
        ("10.9.0.0/16", Some("10.1.2.1")),
        ("224.0.0.0/4", None),
        ("::/0", Some("fd00::ff")),
        ("fd09::/48", None),
    ];
    let addresses = [
        address(&a.path, "ethwe", "10.1.2.3/24"),
        address(&a.path, "ethwe", "fd00::1/64"),
    ];
    for _ in 0..2 {
        let mut ops = addresses.to_vec();
        ops.extend(routes.map(|(to, via)| route(&a.path, "ethwe", to, via)));
        host.apply_all(ops);
    }
    let observed = host.observe(&a.path, Some(&["ethwe"])).routes;
    for (to, via) in routes {
        let found = observed
            .iter()
            .find(|found| found.destination == to && found.protocol == 4);
        assert_eq!(
            found
                .unwrap_or_else(|| panic!("{to} in {observed:?}"))
                .gateway
                .as_deref(),
            via
        );
    }
    assert!(
        a.ip("route show default")
            .contains(r#""gateway":"10.1.2.1""#)
    );
    for _ in 0..2 {
        host.apply_all(
            routes
                .map(|(to, via)| delete_route(&a.path, to, via))
                .to_vec(),
        );
    }
    let left = host.observe(&a.path, Some(&["ethwe"])).routes;
    assert!(left.iter().all(|found| found.protocol == 2), "{left:?}");
}

#[test]
fn a_route_of_someone_elses_is_neither_replaced_nor_deleted() {
    let (host, a) = attached();
    for command in [
        "ip link add eth0 type veth peer name eth0peer",
        "ip link set eth0 up",
        "ip addr add 172.17.0.2/16 dev eth0",
        "ip route add default via 172.17.0.1",
    ] {
        assert!(a.run(command).status.success(), "{command}");
    }
    let failed = host.fails(vec![
        address(&a.path, "ethwe", "10.1.2.3/24"),
        route(&a.path, "ethwe", "0.0.0.0/0", Some("10.1.2.1")),
    ]);
    assert_eq!(
        (failed.index, failed.op, failed.code.as_str()),
        (1, "addRoute", "EEXIST")
    );
    host.apply_all(vec![delete_route(&a.path, "0.0.0.0/0", Some("10.1.2.1"))]);
    assert!(
        a.ip("route show default")
            .contains(r#""gateway":"172.17.0.1""#)
    );
}

#[test]
fn neighbours_are_replaced_and_deleted() {
    let (host, a) = attached();
    let neighbour = |address: &str, mac: &str| Op::AddNeighbour {
        netns: a.path.clone(),
        link: "ethwe".to_owned(),
        address: address.to_owned(),
        mac: mac.to_owned(),
    };
    host.apply_all(vec![
        neighbour("10.1.2.9", "02:00:00:00:00:09"),
        neighbour("10.1.2.9", "02:00:00:00:00:0a"),
        neighbour("fd00::9", "02:00:00:00:00:09"),
    ]);
    let mut seen: Vec<_> = host
        .observe(&a.path, Some(&["ethwe"]))
        .neighbours
        .into_iter()
        .map(|found| (found.address, found.mac, found.permanent))
        .collect();
    seen.sort();
    assert_eq!(
        seen,
        [
            ("10.1.2.9".to_owned(), "02:00:00:00:00:0a".to_owned(), true),
            ("fd00::9".to_owned(), "02:00:00:00:00:09".to_owned(), true),
        ]
    );
    let delete = |address: &str| Op::DeleteNeighbour {
        netns: a.path.clone(),
        link: "ethwe".to_owned(),
        address: address.to_owned(),
        mac: "02:00:00:00:00:09".to_owned(),
    };
    for _ in 0..2 {
        host.apply_all(vec![delete("10.1.2.9"), delete("fd00::9")]);
    }
    assert!(
        host.observe(&a.path, Some(&["ethwe"]))
            .neighbours
            .is_empty()
    );
}

#[test]
fn deleting_from_what_is_gone_is_a_success() {
    let host = Host::new();
    for netns in ["switch", "/proc/0/ns/net"] {
        host.apply_all(vec![
            delete_address(netns, "10.1.2.3/24"),
            delete_route(netns, "0.0.0.0/0", None),
            lab::delete_link(netns, "ethwe"),
        ]);
    }
}

#[test]
fn sysctls_are_set_in_their_namespace_only() {
    let (host, a) = attached();
    let key = "net/ipv6/conf/ethwe/accept_dad";
    let read = |container: &Container, key: &str| {
        let output = container.run(&format!("cat /proc/sys/{key}"));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    host.apply_all(vec![
        sysctl(&a.path, key, "0", false),
        sysctl(&a.path, "net/ipv4/ip_forward", "1", false),
        sysctl(&a.path, "net/no/such/key", "1", true),
    ]);
    assert_eq!(read(&a, key), "0");
    assert_eq!(read(&a, "net/ipv4/ip_forward"), "1");
    assert_eq!(read(&host.container, "net/ipv4/ip_forward"), "0");
    let failed = host.fails(vec![sysctl(&a.path, "net/no/such/key", "1", false)]);
    assert_eq!((failed.code.as_str(), failed.link), ("ENOENT", None));
    assert!(
        failed.message.starts_with("net/no/such/key"),
        "{}",
        failed.message
    );
    let failed = host.fails(vec![sysctl(&a.path, "kernel/hostname", "x", true)]);
    assert_eq!(failed.code, "EINVAL");
}

#[test]
fn a_route_that_is_wanted_only_where_there_is_none() {
    let host = Host::with_bridge();
    let a = Container::new();
    host.apply_all(attach("va", &a, 2));
    assert!(a.run("ip link add other type bridge").status.success());
    assert!(a.run("ip link set other up").status.success());
    let over_other = |if_absent| Op::AddRoute {
        netns: a.path.clone(),
        link: "other".to_owned(),
        destination: "224.0.0.0/4".to_owned(),
        gateway: None,
        if_absent,
    };
    assert_eq!(host.fails(vec![over_other(false)]).code, "EEXIST");
    host.apply_all(vec![over_other(true)]);
    let routes = host.observe(&a.path, Some(&["other"])).routes;
    let multicast: Vec<_> = routes
        .iter()
        .filter(|found| found.destination == "224.0.0.0/4")
        .collect();
    assert_eq!(multicast.len(), 1, "seen, whatever link it is on");
    assert_eq!(multicast[0].link.as_deref(), Some("ethwe"));
}

#[test]
fn ipv6_is_turned_on_where_an_engine_turned_it_off() {
    let (host, a) = attached();
    let off = "net/ipv6/conf/ethwe/disable_ipv6";
    host.apply_all(vec![sysctl(&a.path, off, "1", false)]);
    host.apply_all(vec![
        address(&a.path, "ethwe", "10.1.2.3/24"),
        address(&a.path, "ethwe", "fd00::9/64"),
        address(&a.path, "ethwe", "10.1.3.3/24"),
    ]);
    let seen = host.observe(&a.path, Some(&["ethwe"])).addresses;
    for wanted in ["10.1.2.3/24", "fd00::9/64", "10.1.3.3/24"] {
        assert!(seen.iter().any(|found| found.address == wanted), "{wanted}");
    }
}
