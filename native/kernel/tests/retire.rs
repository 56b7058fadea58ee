//! Retiring: out of use at once, deleted soon after by another thread.

// A test may panic.
#![allow(clippy::unwrap_used)]

mod lab;

use std::time::{Duration, Instant};

use lab::{Container, Host, attach, eventually};
use weave_kernel::{Op, REAP_GROUP};

fn retire(netns: &str, name: &str) -> Op {
    Op::RetireLink {
        netns: netns.to_owned(),
        name: name.to_owned(),
    }
}

#[test]
fn retiring_answers_at_once_and_the_link_goes_soon() {
    let host = Host::with_bridge();
    let containers: Vec<Container> = (0..8).map(|_| Container::new()).collect();
    for (n, container) in (2..).zip(&containers) {
        host.apply_all(attach(&format!("v{n}"), container, n));
    }
    let mut fastest = Duration::MAX;
    for n in 2..10 {
        let start = Instant::now();
        host.apply_all(vec![retire("switch", &format!("v{n}"))]);
        fastest = fastest.min(start.elapsed());
    }
    // Deleting would wait for an RCU grace period each time.
    assert!(fastest < Duration::from_millis(5), "{fastest:?}");
    eventually("all retired links are deleted", || {
        let links = host.observe("switch", None).links;
        !links.iter().any(|link| link.group == REAP_GROUP) && links.len() == 2
    });
    for container in &containers {
        assert_eq!(host.link(&container.path, "ethwe"), None);
    }
}

#[test]
fn a_retired_name_can_be_used_in_the_same_batch() {
    let host = Host::with_bridge();
    let (a, b) = (Container::new(), Container::new());
    host.apply_all(attach("va", &a, 2));
    let before = host.link("switch", "va").unwrap();
    let mut ops = vec![retire("switch", "va")];
    ops.extend(attach("va", &b, 2));
    host.apply_all(ops);
    let after = host.link("switch", "va").unwrap();
    assert_ne!(after.index, before.index);
    assert_eq!(after.master.as_deref(), Some("br0"));
    eventually("the retired one is deleted", || {
        host.link(&a.path, "ethwe").is_none()
    });
    assert_eq!(host.link("switch", "va"), Some(after));
}

/// The retired pair's far end still has the name that the new one is to have.
#[test]
fn the_same_container_can_be_attached_again_at_once() {
    let host = Host::with_bridge();
    let (a, b) = (Container::new(), Container::new());
    host.apply_all(attach("vb", &b, 3));
    for round in 0..5 {
        host.apply_all(attach("va", &a, 2));
        // The pair's MAC is another each time, and a neighbour keeps the old one for its locktime of 1 s.
        eventually(&format!("round {round}"), || a.pings("10.32.0.3"));
        host.apply_all(vec![retire("switch", "va")]);
    }
}

#[test]
fn a_retired_link_carries_nothing_any_more() {
    let host = Host::with_bridge();
    let (a, b) = (Container::new(), Container::new());
    host.apply_all(attach("va", &a, 2));
    host.apply_all(attach("vb", &b, 3));
    host.apply_all(vec![retire("switch", "vb")]);
    assert_eq!(host.link("switch", "vb"), None);
    assert!(!a.run("ping -n -c 1 -W 0.2 10.32.0.3").status.success());
}

/// As before Linux 6.2: no retired link can get the name that it is to have.
#[test]
fn a_retired_link_that_keeps_its_name_makes_room() {
    let host = Host::with_bridge();
    let container = Container::new();
    for n in 1..40 {
        host.in_switch(&format!("ip link property add dev br0 altname wr{n:x}"));
    }
    host.apply_all(attach("va", &container, 2));
    for _ in 0..3 {
        let mut ops = vec![retire("switch", "va")];
        ops.extend(attach("va", &container, 2));
        host.apply_all(ops);
    }
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(
        host.link("switch", "va").unwrap().master.as_deref(),
        Some("br0")
    );
    assert!(host.link(&container.path, "ethwe").is_some());
}

#[test]
fn retiring_what_is_absent_is_a_success() {
    let host = Host::new();
    host.apply_all(vec![
        retire("switch", "absent"),
        retire("host", "absent"),
        retire("/proc/0/ns/net", "absent"),
    ]);
}

#[test]
fn links_that_an_earlier_process_retired_are_reaped_at_the_start() {
    let container = Container::new();
    let add = format!("ip link add left group {REAP_GROUP} type bridge");
    assert!(container.run(&add).status.success());
    let host = Host::on(container);
    eventually("the leftover is deleted", || {
        host.link("host", "left").is_none()
    });
}
