//! Packets that nobody would send, and such that somebody would. `WEAVE_DNS_FUZZ` says how many; unless it does, some, for a
//! while. A failure tells its seed.

use std::{
    env,
    time::{Duration, Instant},
};

use super::*;
use crate::relay;

const SOME: u64 = 300_000;
const A_WHILE: Duration = Duration::from_secs(20);

fn bench() -> Bench {
    let names = (0..50).map(|i| {
        let mut record = name(
            &i.to_string(),
            "many",
            Some("blue"),
            &[&format!("10.1.0.{i}"), &format!("fd00::{i}")],
        );
        record.ports = vec![port(80, "tcp", Some("http"))];
        record
    });
    Bench::new(Changes {
        networks: vec![network("blue", &["10.1.0.0/16", "fd00::/64"])],
        names: names.collect(),
        ..Changes::default()
    })
}

fn seeds() -> Vec<Vec<u8>> {
    let names = [
        "many",
        "many.weave.local",
        "_http._tcp.many",
        "1.0.1.10.in-addr.arpa",
        "weave.local",
        "example.com",
        ".",
    ];
    let types = [
        Rtype::A,
        Rtype::AAAA,
        Rtype::PTR,
        Rtype::SRV,
        Rtype::SOA,
        Rtype::ANY,
        Rtype::MX,
    ];
    let plain = names
        .iter()
        .flat_map(|name| types.map(|rtype| query(name, rtype)));
    plain
        .flat_map(|packet| {
            let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
            let mut with_edns = [packet.as_slice(), &opt].concat();
            with_edns[11] = 1;
            [packet, with_edns]
        })
        .collect()
}

/// Bits turned, bytes taken out, put in or doubled, pieces of others.
fn mutate(rng: &mut fastrand::Rng, seeds: &[Vec<u8>], packet: &mut Vec<u8>) {
    packet.clear();
    if rng.u8(..) < 16 {
        packet.extend((0..rng.usize(..600)).map(|_| rng.u8(..)));
        return;
    }
    packet.extend_from_slice(&seeds[rng.usize(..seeds.len())]);
    for _ in 0..rng.usize(..6) {
        let at = rng.usize(..packet.len().max(1));
        match rng.u8(..6) {
            _ if packet.is_empty() => packet.push(rng.u8(..)),
            0 => packet[at] ^= 1 << rng.u8(..8),
            1 => packet[at] = rng.u8(..),
            2 => packet.truncate(at),
            3 => packet.insert(at, rng.u8(..)),
            // A pointer, to anywhere.
            4 => packet[at] = 0xc0,
            _ => {
                let other = &seeds[rng.usize(..seeds.len())];
                packet.extend_from_slice(&other[rng.usize(..other.len())..]);
            }
        }
    }
}

/// What holds for an answer whatever was asked.
fn check(packet: &[u8], verdict: Verdict, out: &[u8], transport: Transport) {
    match verdict {
        Verdict::Silence => assert!(packet.len() < 12 || packet[2] & 0x80 != 0),
        Verdict::Forward => assert!(relay::question(packet).is_some()),
        Verdict::Answered | Verdict::Truncated | Verdict::Malformed => {
            assert_eq!(out[..2], packet[..2]);
            assert!(out[2] & 0x80 != 0, "an answer is no question");
            assert!(out.len() <= 1232 || transport == Transport::Tcp);
            let message = Message::from_octets(out).unwrap();
            let (_, _, _, additional) = message.sections().unwrap();
            assert!(additional.into_iter().all(|record| record.is_ok()));
        }
    }
}

#[test]
fn no_packet_does_harm() {
    let told = env::var("WEAVE_DNS_FUZZ").ok();
    let count = told.as_ref().map_or(SOME, |text| text.parse().unwrap());
    let seed =
        env::var("WEAVE_DNS_SEED").map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
    let bench = bench();
    let table = table::read(&bench.table);
    let seeds = seeds();
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut packet, mut out, mut desk) = (vec![], vec![], Desk::default());
    let mut verdicts = [0_u64; 5];
    let begun = Instant::now();
    let before = resident();
    for number in 0..count {
        if told.is_none() && begun.elapsed() > A_WHILE {
            break;
        }
        mutate(&mut rng, &seeds, &mut packet);
        let transport = if rng.bool() {
            Transport::Udp
        } else {
            Transport::Tcp
        };
        let asked = Asked {
            packet: &packet,
            asker: [10, 1, 0, rng.u8(..)].into(),
            transport,
        };
        let verdict = answer(&bench.zone, &table, &mut desk, &asked, &mut out);
        verdicts[verdict as usize] += 1;
        let checked = std::panic::catch_unwind(|| {
            check(&packet, verdict, &out, transport);
            relayed(&packet, &out, transport);
        });
        assert!(
            checked.is_ok(),
            "packet {number} of WEAVE_DNS_SEED={seed}: {packet:02x?}"
        );
    }
    // Each of them was met, or the packets were no good.
    assert!(verdicts.iter().all(|&met| met > 0), "{verdicts:?}");
    let grown = resident().saturating_sub(before);
    assert!(grown < 16 << 20, "{count} packets left {grown} bytes");
}

/// Upstreams say what they like, too.
fn relayed(packet: &[u8], out: &[u8], transport: Transport) {
    let _ = relay::life(packet);
    let _ = relay::failure(packet);
    let _ = relay::is_answer(out, packet);
    let _ = relay::reply(packet, out, 1, transport);
    let _ = relay::reply(packet, packet, 1, transport);
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
