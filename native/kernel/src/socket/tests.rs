//! What the kernel has no room to answer, with a receive buffer as small as there is.

use std::net::{IpAddr, Ipv4Addr};

use nix::sched::{CloneFlags, unshare};

use super::*;
use crate::{
    message::{address, link},
    parse::Cidr,
};

const RTNLGRP_IPV4_IFADDR: u32 = 5;

/// On the test's own thread, in a namespace that ends with it.
fn socket() -> RouteSocket {
    unshare(CloneFlags::CLONE_NEWNET).expect("these tests need root");
    RouteSocket::open().unwrap()
}

fn shrink(socket: &RouteSocket) {
    setsockopt(&socket.socket.as_fd(), sockopt::RcvBuf, &1).unwrap();
}

fn cidr(n: u32) -> Cidr {
    Cidr {
        address: IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0001 + n)),
        prefix: 8,
    }
}

fn addresses(count: u32) -> Vec<Request> {
    (0..count).map(|n| address::add(1, cidr(n))).collect()
}

fn found(socket: &mut RouteSocket) -> usize {
    let all = socket.dump(&address::dump(Some(1))).unwrap();
    all.iter().filter_map(|(_, it)| address::parse(it)).count()
}

#[test]
fn acknowledgements_that_were_lost() {
    let mut socket = socket();
    shrink(&socket);
    let requests = addresses(96);
    let answers = socket.transact(&requests).unwrap();
    assert_eq!(answers.len(), 96);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(found(&mut socket), 96);
    // What is refused is told as ever, each in its place.
    shrink(&socket);
    let mut mixed = addresses(96);
    mixed[7] = link::delete("absent");
    mixed[90] = link::delete("absent");
    let answers = socket.transact(&mixed).unwrap();
    let refused: Vec<usize> = (0..96).filter(|&n| answers[n].is_err()).collect();
    assert_eq!(refused, [7, 90]);
    assert!(answers[90].as_ref().unwrap_err().is(Errno::ENODEV));
}

/// Told of what another socket does, until there is no room: the next thing that it reads is ENOBUFS.
#[test]
fn a_dump_on_a_socket_that_overran() {
    let (mut reader, mut writer) = (socket(), RouteSocket::open().unwrap());
    shrink(&reader);
    reader.socket.add_membership(RTNLGRP_IPV4_IFADDR).unwrap();
    // What is told bears the number of the request that it comes of.
    writer.sequence = 1000;
    writer.transact(&addresses(90)).unwrap();
    assert_eq!(found(&mut reader), 90);
    writer.transact(&addresses(96)).unwrap();
    assert_eq!(found(&mut reader), 96);
}

#[test]
fn single_answers_on_a_socket_that_overran() {
    let (mut reader, mut writer) = (socket(), RouteSocket::open().unwrap());
    let mut overrun = || {
        writer.sequence = 1000;
        writer.transact(&addresses(90)).unwrap();
        writer.change(&address::delete(1, cidr(0))).unwrap();
    };
    shrink(&reader);
    reader.socket.add_membership(RTNLGRP_IPV4_IFADDR).unwrap();
    overrun();
    assert!(reader.get(&link::get("lo")).is_ok());
    shrink(&reader);
    overrun();
    let refused = reader.change(&link::delete("absent")).unwrap_err();
    assert!(refused.is(Errno::ENODEV), "{refused:?}");
}
