//! Hearing what others take away.

#![allow(clippy::unwrap_used)]

mod lab;

use std::{
    collections::BTreeSet,
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use lab::{Container, Host, attach};
use weave_kernel::{Changed, Op};

fn watched(host: &Host) -> Receiver<Changed> {
    let (tell, told) = channel();
    host.kernel
        .watch(move |changed| drop(tell.send(changed)))
        .unwrap();
    // Until it listens.
    let _ = told.recv_timeout(Duration::from_millis(300));
    told
}

/// All links named until `wanted` is among them.
fn heard(told: &Receiver<Changed>, wanted: &str) -> BTreeSet<String> {
    let start = Instant::now();
    let mut links = BTreeSet::new();
    while !links.contains(wanted) {
        let left = Duration::from_secs(3).saturating_sub(start.elapsed());
        links.extend(
            told.recv_timeout(left)
                .unwrap_or_else(|_| panic!("nothing of {wanted}, but {links:?}"))
                .links,
        );
    }
    links
}

#[test]
fn changes_are_named_by_the_switchs_own_end() {
    let host = Host::with_bridge();
    let (a, b) = (Container::new(), Container::new());
    host.apply_all(attach("va", &a, 2));
    let told = watched(&host);
    host.apply_all(attach("vb", &b, 3));
    heard(&told, "vb");
    // Learned when the watch began, and learned since.
    for (container, port, last) in [(&a, "va", 2), (&b, "vb", 3)] {
        let address = format!("ip addr del fd00::{last}/64 dev ethwe");
        for command in [
            &address,
            "ip route del 224.0.0.0/4",
            "ip link set ethwe down",
        ] {
            while told.try_recv().is_ok() {}
            assert!(container.run(command).status.success(), "{command}");
            assert_eq!(heard(&told, port), [port.to_owned()].into(), "{command}");
        }
        // Its bridge loses it first, and the link is still known after that.
        for command in ["nomaster", "down"] {
            while told.try_recv().is_ok() {}
            host.in_switch(&format!("ip link set {port} {command}"));
            heard(&told, port);
        }
    }
    let gone = Op::DeleteLink {
        netns: "switch".to_owned(),
        name: "va".to_owned(),
    };
    host.apply_all(vec![gone]);
    heard(&told, "va");
}

#[test]
fn what_is_not_ours_is_no_news() {
    let host = Host::with_bridge();
    let a = Container::new();
    host.apply_all(attach("va", &a, 2));
    let told = watched(&host);
    while told.recv_timeout(Duration::from_millis(200)).is_ok() {}
    a.run("ip link add other type bridge");
    a.run("ip addr add 10.99.0.1/24 dev other");
    a.run("ip addr del 10.99.0.1/24 dev other");
    assert!(told.recv_timeout(Duration::from_millis(300)).is_err());
}

#[test]
fn the_packet_filter_is_heard_and_closing_ends_it() {
    let host = Host::with_bridge();
    let told = watched(&host);
    while told.recv_timeout(Duration::from_millis(200)).is_ok() {}
    assert!(
        host.container
            .run("nft add table inet other")
            .status
            .success()
    );
    let changed = told.recv_timeout(Duration::from_secs(3)).unwrap();
    assert!(changed.filters == ["host"].into() && !changed.lost);
    host.kernel.close();
    assert!(told.recv_timeout(Duration::from_secs(3)).is_err());
    let _ = host.reopened().destroy_and_wait();
}
