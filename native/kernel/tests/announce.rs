//! What is told to the network when an address moves.

// A test may panic, also in its helpers.
#![allow(clippy::unwrap_used)]

mod lab;

use std::{
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

use lab::{Container, Host, attach};
use nix::sys::{
    socket::{self, AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType},
    time::TimeVal,
};
use weave_kernel::Op;

fn announce(netns: &str, address: &str) -> Op {
    Op::Announce {
        netns: netns.to_owned(),
        link: "ethwe".to_owned(),
        bridge: "br0".to_owned(),
        address: address.to_owned(),
    }
}

/// All that arrives in a container, until a frame fits.
fn hears(container: &Container, provoke: impl Fn(), fits: impl Fn(&[u8]) -> bool + Send) -> bool {
    let wire = container.inside(|| {
        let (raw, all) = (SockType::Raw, SockProtocol::EthAll);
        socket::socket(AddressFamily::Packet, raw, SockFlag::SOCK_CLOEXEC, all).unwrap()
    });
    let patience = TimeVal::new(0, 100_000);
    socket::setsockopt(&wire, socket::sockopt::ReceiveTimeout, &patience).unwrap();
    provoke();
    let start = Instant::now();
    let mut frame = [0; 2048];
    while start.elapsed() < Duration::from_secs(3) {
        if let Ok(length) = socket::recv(wire.as_raw_fd(), &mut frame, MsgFlags::empty())
            && fits(&frame[..length])
        {
            return true;
        }
    }
    false
}

#[test]
fn announcements_are_heard_on_the_wire() {
    let host = Host::with_bridge();
    let (a, b) = (Container::new(), Container::new());
    host.apply_all(attach("va", &a, 2));
    host.apply_all(attach("vb", &b, 3));
    let mac = host.link(&a.path, "ethwe").unwrap().mac;
    let mac: Vec<u8> = mac
        .split(':')
        .map(|octet| u8::from_str_radix(octet, 16).unwrap())
        .collect();

    let gratuitous = |frame: &[u8]| {
        frame.starts_with(&[0xff; 6])
            && frame[12..14] == [8, 6]
            && frame[22..28] == mac
            && frame[28..32] == [10, 32, 0, 2]
            && frame[38..42] == [10, 32, 0, 2]
    };
    assert!(hears(
        &b,
        || host.apply_all(vec![announce(&a.path, "10.32.0.2")]),
        gratuitous
    ));

    let overriding = |frame: &[u8]| {
        frame.starts_with(&[0x33, 0x33, 0, 0, 0, 1])
            && frame[12..14] == [0x86, 0xdd]
            && frame[54] == 136
            && frame[58] == 0x20
            && frame[80..86] == mac
    };
    assert!(hears(
        &b,
        || host.apply_all(vec![announce(&a.path, "fd00::2")]),
        overriding
    ));
}

#[test]
fn an_announcement_moves_an_address_to_another_mac() {
    let host = Host::with_bridge();
    let (a, b) = (Container::new(), Container::new());
    host.apply_all(attach("va", &a, 2));
    host.apply_all(attach("vb", &b, 3));
    assert!(b.pings("10.32.0.2") && b.pings("fd00::2"));
    host.apply_all(vec![Op::SetLink {
        netns: a.path.clone(),
        name: "ethwe".to_owned(),
        up: None,
        mtu: None,
        mac: Some("02:00:00:00:00:aa".to_owned()),
        master: None,
    }]);
    for address in ["10.32.0.2", "fd00::2"] {
        // The kernel ignores a change of MAC within locktime (1 s) of the last one.
        lab::eventually("the neighbour has the new MAC", || {
            host.apply_all(vec![announce(&a.path, address)]);
            b.ip(&format!("neigh show {address}"))
                .contains("02:00:00:00:00:aa")
        });
    }
}
