//! The switch: pinned, found again, kept from mix-ups, destroyed; and what is not ours left alone.

// A test may panic, also in its helpers.
#![allow(clippy::unwrap_used)]

mod lab;

use std::{fs, os::unix::fs::MetadataExt};

use lab::{Container, Host, attach, bridge, eventually, settings};
use weave_kernel::{Kernel, Op, Peer, Veth, Vxlan, identity};

fn path(host: &Host) -> &str {
    host.switch_path.to_str().unwrap()
}

#[test]
fn the_switch_outlives_its_handle_and_is_found_again() {
    let host = Host::with_bridge();
    let before = identity(path(&host)).unwrap();
    host.kernel.close();
    let again = host.reopened();
    assert_eq!(identity(path(&host)).unwrap(), before);
    let query = weave_kernel::Query {
        netns: "switch".to_owned(),
        ..weave_kernel::Query::default()
    };
    let links = again.observe_and_wait(vec![query]).remove(0).links;
    let lo = links.iter().find(|link| link.name == "lo").unwrap();
    assert_eq!((lo.kind.as_str(), lo.up), ("loopback", true));
    assert!(links.iter().any(|link| link.name == "br0"));
    again.destroy_and_wait().unwrap();
}

#[test]
fn a_bridge_that_somebody_made_anew_is_found() {
    let host = Host::with_bridge();
    let (a, b) = (Container::new(), Container::new());
    host.apply_all(attach("va", &a, 2));
    host.in_switch("ip link delete br0");
    host.in_switch("ip link add br0 up type bridge");
    host.apply_all(attach("vb", &b, 3));
    let port = host.link("switch", "vb").unwrap();
    assert_eq!(port.master.as_deref(), Some("br0"));
    // The remembered index is now another name's: whoever looks at the switch finds out.
    host.in_switch("ip link set br0 name old0");
    host.in_switch("ip link add br0 up type bridge");
    host.observe("switch", None);
    host.apply_all(attach("vb", &b, 3));
    assert_eq!(
        host.link("switch", "vb").unwrap().master.as_deref(),
        Some("br0")
    );
    host.in_switch("ip link delete br0");
    let mut gone = attach("vb", &b, 3);
    gone.insert(0, retire_port("vb"));
    assert_eq!(host.fails(gone).code, "ENODEV");
}

fn retire_port(name: &str) -> Op {
    Op::RetireLink {
        netns: "switch".to_owned(),
        name: name.to_owned(),
    }
}

/// A namespace lives for as long as somebody has it open.
#[test]
fn a_closed_handle_holds_no_namespace() {
    let host = Host::new();
    host.kernel.watch(|_| ()).unwrap();
    let switch = fs::metadata(&host.switch_path).unwrap().ino();
    let held = || {
        let open = fs::read_dir("/proc/self/fd").unwrap();
        open.filter(|file| {
            let file = fs::metadata(file.as_ref().unwrap().path());
            file.is_ok_and(|file| file.ino() == switch)
        })
        .count()
    };
    assert!(held() > 0);
    host.kernel.close();
    eventually("it is let go of", || held() == 0);
    let _ = host.reopened().destroy_and_wait();
}

#[test]
fn a_closed_handle_refuses() {
    let host = Host::new();
    host.kernel.close();
    assert_eq!(host.kernel.watch(|_| ()).unwrap_err().code, "EBADF");
    assert_eq!(host.fails(vec![bridge("br0")]).code, "EBADF");
    assert_eq!(host.observe("switch", None).code.as_deref(), Some("EBADF"));
    host.reopened().destroy_and_wait().unwrap();
}

#[test]
fn a_stale_pin_is_replaced_and_someones_file_is_not() {
    let host = Host::new();
    let stale = host.switch_path.with_file_name("stale");
    fs::write(&stale, "").unwrap();
    let kernel = Kernel::open(&settings(&host.container, stale.clone())).unwrap();
    assert_ne!(identity(stale.to_str().unwrap()), identity(path(&host)));
    kernel.destroy_and_wait().unwrap();
    assert!(!stale.exists());

    fs::write(&stale, "precious").unwrap();
    let refused = Kernel::open(&settings(&host.container, stale.clone()))
        .err()
        .unwrap();
    assert_eq!(refused.code, "EEXIST");
    assert_eq!(fs::read_to_string(&stale).unwrap(), "precious");
    let directory = host.switch_path.parent().unwrap().to_owned();
    let refused = Kernel::open(&settings(&host.container, directory))
        .err()
        .unwrap();
    assert_eq!(refused.code, "EEXIST");
}

#[test]
fn the_hosts_own_namespace_is_never_the_switch() {
    let host = Container::new();
    let refused = Kernel::open(&settings(&host, host.path.clone().into()))
        .err()
        .unwrap();
    assert_eq!(refused.code, "EINVAL");
}

#[test]
fn two_that_open_at_once_get_one_switch() {
    let host = Host::new();
    let fresh = host.switch_path.with_file_name("fresh");
    let kernels: Vec<Kernel> = std::thread::scope(|scope| {
        let open = || Kernel::open(&settings(&host.container, fresh.clone())).unwrap();
        let opening: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        opening
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(
        kernels[0].apply_and_wait(vec![vec![bridge("br0")]])[0]
            .failed
            .is_none()
    );
    for kernel in &kernels {
        let query = weave_kernel::Query {
            netns: "switch".to_owned(),
            links: Some(vec!["br0".to_owned()]),
            ..weave_kernel::Query::default()
        };
        assert_eq!(kernel.observe_and_wait(vec![query])[0].links.len(), 1);
    }
    kernels[0].destroy_and_wait().unwrap();
}

#[test]
fn destroy_removes_everything_at_once() {
    let host = Host::with_bridge();
    let a = Container::new();
    let uplink = Veth {
        netns: "switch".to_owned(),
        name: "up".to_owned(),
        mtu: 1450,
        up: true,
        peer: Peer {
            netns: "host".to_owned(),
            name: "weave".to_owned(),
            mtu: 1450,
            master: None,
            up: true,
            ..Peer::default()
        },
        ..Veth::default()
    };
    let vxlan = Vxlan {
        netns: "switch".to_owned(),
        name: "vx0".to_owned(),
        vni: 42,
        port: 4789,
        mtu: 1450,
        master: "br0".to_owned(),
        local: None,
    };
    let mut ops = attach("va", &a, 2);
    ops.extend([Op::AddVeth(uplink), Op::AddVxlan(vxlan.clone())]);
    host.apply_all(ops);
    host.kernel.destroy_and_wait().unwrap();
    assert!(!host.switch_path.exists());
    assert!(!host.container.ip("link show").contains("weave"));
    assert!(!a.ip("link show").contains("ethwe"));
    // The VNI is free too: a new switch can have it.
    let again = host.reopened();
    let applied = again.apply_and_wait(vec![vec![bridge("br0"), Op::AddVxlan(vxlan)]]);
    assert_eq!(applied[0].failed, None);
    again.destroy_and_wait().unwrap();
}

/// A namespace held open would outlive its container.
#[test]
fn namespaces_visited_are_let_go() {
    let host = Host::with_bridge();
    let a = Container::new();
    host.apply_all(attach("va", &a, 2));
    host.apply_all(vec![Op::RetireLink {
        netns: a.path.clone(),
        name: "ethwe".to_owned(),
    }]);
    host.apply_all(attach("va", &a, 2));
    assert!(host.link("switch", "va").is_some());
    drop(a);
    lab::eventually("the pair goes with the container's namespace", || {
        host.link("switch", "va").is_none()
    });
}

#[test]
fn what_is_not_ours_is_left_as_it_was() {
    let host = Host::with_bridge();
    let a = Container::new();
    for command in [
        "ip link add docker0 type bridge",
        "ip addr add 172.17.0.1/16 dev docker0",
        "ip link set docker0 up",
        "ip route add 10.32.0.0/16 dev docker0",
        "ip neigh add 172.17.0.9 lladdr 02:00:00:00:00:99 dev docker0",
        "ip link add vxother type vxlan id 7 dstport 4790",
        "bridge fdb append 00:00:00:00:00:00 dev vxother dst 192.0.2.1",
    ] {
        assert!(host.container.run(command).status.success(), "{command}");
    }
    for command in [
        "ip link add eth0 type veth peer name eth0peer",
        "ip link set eth0 up",
        "ip addr add 172.17.0.2/16 dev eth0",
        "ip route add 10.99.0.0/16 dev eth0",
    ] {
        assert!(a.run(command).status.success(), "{command}");
    }
    // Without details: a bridge's are timers that run.
    let printed = |container: &Container, command: &str| {
        String::from_utf8(container.run(command).stdout).unwrap()
    };
    let witness = || {
        let mut seen = Vec::new();
        for command in [
            "ip -j link show",
            "ip -j -4 addr show",
            "ip -j -4 route show table all",
            "ip -j neigh show",
            "bridge -j fdb show dev vxother",
        ] {
            seen.push(printed(&host.container, command));
        }
        for command in [
            "ip -j link show eth0",
            "ip -j -4 addr show eth0",
            "ip -j -4 route show",
        ] {
            seen.push(printed(&a, command));
        }
        seen
    };
    let before = witness();
    let mut ops = attach("va", &a, 2);
    ops.truncate(3);
    host.apply_all(ops);
    host.apply_all(vec![Op::RetireLink {
        netns: "switch".to_owned(),
        name: "va".to_owned(),
    }]);
    lab::eventually("retired", || host.link(&a.path, "ethwe").is_none());
    host.kernel.destroy_and_wait().unwrap();
    assert_eq!(witness(), before);
}

/// The kernel gives a new namespace the lowest free inode number: soon that of one which just went.
#[test]
fn a_namespace_is_never_taken_for_one_that_went_before() {
    let mut seen = std::collections::HashSet::new();
    for _ in 0..20 {
        let container = Container::new();
        assert!(seen.insert(identity(&container.path).unwrap()));
        assert_eq!(identity(&container.path), identity(&container.path));
    }
}
