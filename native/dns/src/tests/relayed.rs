use domain::{
    base::{Serial, Ttl},
    rdata::{A, Soa},
};

use super::*;
use crate::relay::{failure, is_answer, life, question, reply};

/// What an upstream says to a question.
fn upstream(asked: &[u8], rcode: Rcode, ttls: &[u32], negative: Option<(u32, u32)>) -> Vec<u8> {
    let message = Message::from_octets(asked).unwrap();
    let builder = MessageBuilder::new_vec();
    let mut answer = builder.start_answer(&message, rcode).unwrap();
    let owner = message.sole_question().unwrap().into_qname();
    for (i, &ttl) in ttls.iter().enumerate() {
        let address = A::from_octets(192, 0, 2, u8::try_from(i).unwrap());
        answer.push((owner, Ttl::from_secs(ttl), address)).unwrap();
    }
    let mut authority = answer.authority();
    if let Some((ttl, minimum)) = negative {
        let root = Name::root_vec();
        let zero = Ttl::from_secs(0);
        let soa = Soa::new(
            root.clone(),
            root.clone(),
            Serial(1),
            zero,
            zero,
            zero,
            Ttl::from_secs(minimum),
        );
        authority.push((root, Ttl::from_secs(ttl), soa)).unwrap();
    }
    authority.finish()
}

#[test]
fn equal_questions_are_sent_on_as_equals() {
    let a = question(&query("Example.COM", Rtype::A)).unwrap();
    let mut other_id = query("eXample.com", Rtype::A);
    other_id[0] = 0x77;
    assert_eq!(question(&other_id).unwrap(), a);
    assert_ne!(question(&query("example.com", Rtype::AAAA)).unwrap(), a);
    assert_eq!(&a[..2], [0, 0]);
    assert_eq!(question(&a[..20]), None);
}

#[test]
fn an_answer_answers_its_question_only() {
    let asked = question(&query("example.com", Rtype::A)).unwrap();
    let good = upstream(&asked, Rcode::NOERROR, &[60], None);
    assert!(is_answer(&asked, &good));
    let mut other_id = good.clone();
    other_id[1] ^= 1;
    assert!(!is_answer(&asked, &other_id));
    assert!(!is_answer(&asked, &asked));
    assert!(!is_answer(&asked, &good[..good.len() - 1]));
    let other = question(&query("example.org", Rtype::A)).unwrap();
    assert!(!is_answer(&other, &good));
}

#[test]
fn answers_are_kept_as_long_as_the_shortest_of_their_records() {
    let asked = question(&query("example.com", Rtype::A)).unwrap();
    let of = |rcode, ttls: &[u32], negative| life(&upstream(&asked, rcode, ttls, negative));
    assert_eq!(of(Rcode::NOERROR, &[300, 60], None), Some(60));
    assert_eq!(of(Rcode::NOERROR, &[1_000_000], None), Some(86_400));
    assert_eq!(of(Rcode::NOERROR, &[0], None), None);
    assert_eq!(of(Rcode::NXDOMAIN, &[], Some((900, 60))), Some(60));
    assert_eq!(of(Rcode::NXDOMAIN, &[], Some((30, 60))), Some(30));
    assert_eq!(
        of(Rcode::NOERROR, &[], Some((100_000, 100_000))),
        Some(10_800)
    );
    assert_eq!(of(Rcode::NXDOMAIN, &[], None), None);
    assert_eq!(of(Rcode::SERVFAIL, &[], Some((900, 60))), None);
    let mut cut = upstream(&asked, Rcode::NOERROR, &[60], None);
    cut[2] |= 2;
    assert_eq!(life(&cut), None);
}

#[test]
fn an_old_answer_is_told_as_the_asker_asked() {
    let asked = question(&query("example.com", Rtype::A)).unwrap();
    let answer = upstream(&asked, Rcode::NOERROR, &[300, 60], None);
    let packet = query("EXAMPLE.com", Rtype::A);
    let told = reply(&packet, &answer, 50, Transport::Udp).unwrap();
    assert_eq!(&told[..2], &packet[..2]);
    assert_eq!(told[12..packet.len()], packet[12..]);
    let message = Message::from_octets(told).unwrap();
    let ttls: Vec<_> = message
        .answer()
        .unwrap()
        .map(|r| r.unwrap().ttl().as_secs())
        .collect();
    assert_eq!(ttls, [250, 10]);
    assert!(message.header().ra() && !message.header().aa());
}

#[test]
fn what_is_too_long_for_udp_is_cut() {
    let asked = question(&query("example.com", Rtype::A)).unwrap();
    let answer = upstream(&asked, Rcode::NOERROR, &[60; 50], None);
    let packet = query("example.com", Rtype::A);
    let cut = Message::from_octets(reply(&packet, &answer, 0, Transport::Udp).unwrap()).unwrap();
    assert!(cut.header().tc() && cut.header_counts().ancount() == 0);
    let whole = reply(&packet, &answer, 0, Transport::Tcp).unwrap();
    assert_eq!(
        Message::from_octets(whole)
            .unwrap()
            .header_counts()
            .ancount(),
        50
    );
}

#[test]
fn a_failure_has_the_question() {
    let packet = query("Example.com", Rtype::A);
    let failed = Message::from_octets(failure(&packet).unwrap()).unwrap();
    assert_eq!(failed.header().rcode(), Rcode::SERVFAIL);
    assert_eq!(failed.header().id(), 0x1234);
    assert_eq!(failed.as_slice()[12..], packet[12..]);
}
