//! Failures come back as data: which op, which errno, which link, in whose words.

mod lab;

use std::process::Command;

use lab::{Container, Host, address, attach, bridge, pair, route};
use weave_kernel::{Op, Vxlan, identity};

#[test]
fn a_vanished_namespace() {
    let host = Host::with_bridge();
    let mut sleeper = Command::new("unshare")
        .args(["--net", "sleep", "600"])
        .spawn()
        .unwrap();
    let path = format!("/proc/{}/ns/net", sleeper.id());
    host.apply_all(vec![lab::delete_link(&path, "absent")]);
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    let failed = host.fails(vec![bridge("br0"), address(&path, "ethwe", "10.0.0.1/8")]);
    assert_eq!(
        (failed.index, failed.op, failed.errno),
        (1, "addAddress", 2)
    );
    assert_eq!(failed.code, "ENOENT");
    assert_eq!(failed.netns.as_deref(), Some(path.as_str()));
    assert_eq!(failed.link.as_deref(), Some("ethwe"));
    let observed = host.observe(&path, None);
    assert_eq!(
        (observed.errno, observed.code.as_deref()),
        (Some(2), Some("ENOENT"))
    );
}

#[test]
fn a_path_that_is_no_network_namespace() {
    let host = Host::new();
    for path in ["/etc/hostname", "/proc/self/ns/mnt", "relative", ""] {
        let failed = host.fails(vec![address(path, "lo", "10.0.0.1/8")]);
        assert_eq!(failed.code, "EINVAL", "{path:?}");
        assert_eq!(
            host.observe(path, None).code.as_deref(),
            Some("EINVAL"),
            "{path:?}"
        );
    }
}

#[test]
fn a_master_that_is_not_there_or_cannot_be_one() {
    let host = Host::with_bridge();
    let a = Container::new();
    let mut wanted = pair("va", &a);
    wanted.master = Some("br9".to_owned());
    let failed = host.fails(vec![Op::AddVeth(wanted.clone())]);
    assert_eq!(
        (failed.code.as_str(), failed.link.as_deref()),
        ("ENODEV", Some("br9"))
    );
    wanted.master = Some("lo".to_owned());
    let failed = host.fails(vec![Op::AddVeth(wanted)]);
    assert_ne!(failed.errno, 0);
    // The whole creation is rolled back.
    assert_eq!(host.link("switch", "va"), None);
    assert_eq!(host.link(&a.path, "ethwe"), None);
}

#[test]
fn the_kernels_own_words() {
    let host = Host::with_bridge();
    let failed = host.fails(vec![route(
        "switch",
        "br0",
        "10.9.0.0/16",
        Some("192.0.2.1"),
    )]);
    assert_eq!(failed.code, "ENETUNREACH");
    assert_eq!(failed.message, "Nexthop has invalid gateway");
}

#[test]
fn bad_input_names_its_field() {
    let host = Host::with_bridge();
    let a = Container::new();
    let veth = |change: fn(&mut weave_kernel::Veth)| {
        let mut veth = pair("va", &a);
        change(&mut veth);
        Op::AddVeth(veth)
    };
    let vxlan = |vni, port, local: Option<&str>| {
        Op::AddVxlan(Vxlan {
            netns: "switch".to_owned(),
            name: "vx0".to_owned(),
            vni,
            port,
            mtu: 1450,
            master: "br0".to_owned(),
            local: local.map(ToOwned::to_owned),
        })
    };
    let cases = [
        (veth(|veth| veth.name.clear()), "name: "),
        (
            veth(|veth| veth.name = "sixteen-bytes-xx".to_owned()),
            "name: ",
        ),
        (veth(|veth| veth.mac = Some("02:00".to_owned())), "mac: "),
        (
            veth(|veth| veth.peer.name = "a/b".to_owned()),
            "peer.name: ",
        ),
        (
            veth(|veth| veth.peer.mac = Some("x".to_owned())),
            "peer.mac: ",
        ),
        (vxlan(1 << 24, 4789, None), "vni: "),
        (vxlan(1, 0, None), "port: "),
        (vxlan(1, 1 << 16, None), "port: "),
        (vxlan(1, 4789, Some("here")), "local: "),
        (address("switch", "br0", "10.0.0.1"), "address: "),
        (address("switch", "", "10.0.0.1/8"), "link: "),
        (route("switch", "br0", "10.0.0.0/33", None), "destination: "),
        (
            route("switch", "br0", "10.0.0.0/8", Some("fd00::1")),
            "gateway: ",
        ),
    ];
    for (op, field) in cases {
        let failed = host.fails(vec![op.clone()]);
        assert_eq!(failed.code, "EINVAL", "{op:?}");
        assert!(
            failed.message.starts_with(field),
            "{op:?}: {}",
            failed.message
        );
    }
    assert_eq!(
        host.observe("switch", None).links.len(),
        2,
        "only lo and br0"
    );
}

#[test]
fn a_failure_stops_its_batch_and_no_other() {
    let host = Host::with_bridge();
    let (a, b) = (Container::new(), Container::new());
    let mut first = attach("va", &a, 2);
    first.insert(2, address(&a.path, "ethwe", "nonsense"));
    let applied = host.kernel.apply_and_wait(vec![first, attach("vb", &b, 3)]);
    assert_eq!(applied[0].done, 2);
    assert_eq!(applied[0].failed.as_ref().unwrap().index, 2);
    assert_eq!((applied[1].done, &applied[1].failed), (5, &None));
    // What came before the failed op has been applied, also what shares a send with what came after.
    let observed = host.observe(&a.path, Some(&["ethwe"]));
    assert!(
        observed
            .addresses
            .iter()
            .any(|found| found.address == "10.32.0.2/24")
    );
    assert!(observed.links[0].up);
}

#[test]
fn the_failed_op_is_found_inside_a_send() {
    let host = Host::with_bridge();
    let failed = host.fails(vec![
        address("switch", "br0", "10.1.0.1/24"),
        address("switch", "br0", "10.2.0.1/24"),
        route("switch", "br0", "10.9.0.0/16", Some("192.0.2.1")),
        address("switch", "br0", "10.3.0.1/24"),
    ]);
    assert_eq!((failed.index, failed.op), (2, "addRoute"));
}

#[test]
fn a_full_bridge() {
    let host = Host::with_bridge();
    let a = Container::new();
    let ops = (0..1024)
        .map(|n| {
            let mut veth = pair(&format!("v{n}"), &a);
            veth.peer.name = format!("p{n}");
            veth.peer.up = false;
            Op::AddVeth(veth)
        })
        .collect();
    let failed = host.fails(ops);
    assert_eq!((failed.index, failed.code.as_str()), (1023, "EXFULL"));
}

#[test]
fn an_empty_batch_is_done() {
    let host = Host::new();
    assert_eq!(host.apply(vec![]), weave_kernel::Applied::default());
    assert_eq!(host.kernel.apply_and_wait(vec![]), []);
}

/// Looked up while it ends, while it is reaped, and after.
#[test]
fn a_process_that_is_ending() {
    for _ in 0..1000 {
        let mut ending = Command::new("sleep").arg("600").spawn().unwrap();
        let path = format!("/proc/{}/ns/net", ending.id());
        identity(&path).unwrap();
        let look = std::thread::spawn(move || {
            loop {
                if let Err(error) = identity(&path) {
                    return error;
                }
            }
        });
        ending.kill().unwrap();
        ending.wait().unwrap();
        assert_eq!(look.join().unwrap().code, "ENOENT");
    }
}
