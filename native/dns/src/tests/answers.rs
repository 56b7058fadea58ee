use domain::base::opt::Opt;

use super::*;

fn bench() -> Bench {
    let mut web = name("w", "Web", None, &["10.32.0.1", "fd00::1"]);
    web.ports = vec![port(80, "tcp", Some("http")), port(53, "udp", None)];
    let many = (0..50).map(|i| name(&format!("m{i}"), "many", None, &[&format!("10.33.0.{i}")]));
    Bench::new(Changes {
        names: many.chain([web]).collect(),
        ..Changes::default()
    })
}

#[test]
fn a_record_for_a_name_with_the_questions_id_and_case() {
    let said = bench().ask("wEb.Weave.Local", Rtype::A, HOST);
    let header = said.message.header();
    assert_eq!(said.records(), ["10.32.0.1"]);
    assert_eq!(header.id(), 0x1234);
    assert!(header.qr() && header.aa() && header.rd() && header.ra() && !header.tc());
    let question = said.message.sole_question().unwrap();
    assert_eq!(question.qname().to_string(), "wEb.Weave.Local");
    let owner = said.message.answer().unwrap().next().unwrap().unwrap();
    assert_eq!(owner.owner().to_string(), "wEb.Weave.Local");
}

#[test]
fn any_is_what_there_is() {
    assert_eq!(
        bench().ask("web.", Rtype::ANY, HOST).records(),
        ["10.32.0.1", "fd00::1"]
    );
}

#[test]
fn the_same_address_is_told_once() {
    let mut bench = bench();
    bench.update(Changes {
        names: vec![name("alias", "web", None, &["10.32.0.1", "10.32.0.2"])],
        ..Changes::default()
    });
    let said = bench.ask("web", Rtype::A, HOST);
    assert_eq!(said.records(), ["10.32.0.1", "10.32.0.2"]);
}

#[test]
fn local_addresses_come_first_where_that_was_asked_for() {
    let far = (0..20).map(|i| name(&format!("f{i}"), "db", None, &[&format!("10.1.0.{i}")]));
    let near = NameRecord {
        local: true,
        ..name("near", "db", None, &["10.9.0.1"])
    };
    let mut bench = Bench::new(Changes {
        names: far.chain([near]).collect(),
        ..Changes::default()
    });
    bench.zone = Zone::new("weave.local", 1, true).unwrap();
    for _ in 0..20 {
        let (_, out) = bench.answer(&query("db", Rtype::A), HOST, Transport::Udp);
        let message = Message::from_octets(out).unwrap();
        let answers = message.answer().unwrap().limit_to::<domain::rdata::A>();
        let order: Vec<_> = answers
            .map(|r| r.unwrap().data().addr().to_string())
            .collect();
        assert_eq!(order[0], "10.9.0.1");
        assert_eq!(order.len(), 21);
    }
}

#[test]
fn no_more_than_there_is_room_for() {
    let bench = bench();
    let udp = bench.ask("many", Rtype::A, HOST);
    assert_eq!(udp.verdict, Verdict::Truncated);
    assert!(udp.message.header().tc());
    assert!(udp.message.as_slice().len() <= 512);
    assert!(udp.message.header_counts().ancount() > 20);
    let (verdict, out) = bench.answer(&query("many", Rtype::A), HOST, Transport::Tcp);
    let tcp = Said::read(verdict, out);
    assert_eq!((tcp.verdict, tcp.records().len()), (Verdict::Answered, 50));
}

/// A question with EDNS.
fn edns_query(size: u16, version: u8, times: usize) -> Vec<u8> {
    let builder = Message::from_octets(query("many", Rtype::A)).unwrap();
    let mut question = MessageBuilder::new_vec().question();
    question.push(builder.sole_question().unwrap()).unwrap();
    let mut additional = question.additional();
    for _ in 0..times {
        additional
            .opt(|opt| {
                opt.set_udp_payload_size(size);
                opt.set_version(version);
                opt.set_dnssec_ok(true);
                Ok(())
            })
            .unwrap();
    }
    additional.finish()
}

#[test]
fn with_edns_answers_are_as_long_as_the_asker_takes_but_never_cut_on_the_way() {
    let bench = bench();
    for (size, most) in [
        (0, 512),
        (512, 512),
        (700, 700),
        (4096, 1232),
        (65535, 1232),
    ] {
        let (_, out) = bench.answer(&edns_query(size, 0, 1), HOST, Transport::Udp);
        assert!(
            out.len() <= most && out.len() + 16 > most.min(833),
            "{size}: {}",
            out.len()
        );
        let said = Message::from_octets(out).unwrap();
        let opt = said.opt().unwrap();
        assert_eq!((opt.udp_payload_size(), opt.dnssec_ok()), (1232, true));
        let _: &Opt<_> = opt.opt();
    }
}

#[test]
fn an_edns_version_that_is_not_known_and_two_of_them() {
    let bench = bench();
    let (_, out) = bench.answer(&edns_query(1232, 1, 1), HOST, Transport::Udp);
    let said = Message::from_octets(out).unwrap();
    assert_eq!(said.opt_rcode(), domain::base::iana::OptRcode::BADVERS);
    assert_eq!(said.header_counts().ancount(), 0);
    let (verdict, out) = bench.answer(&edns_query(1232, 0, 2), HOST, Transport::Udp);
    assert_eq!(verdict, Verdict::Malformed);
    assert_eq!(
        Message::from_octets(out).unwrap().header().rcode(),
        Rcode::FORMERR
    );
}

#[test]
fn what_is_no_question_is_complained_of_or_passed_over_in_silence() {
    let bench = bench();
    let good = query("web", Rtype::A);
    let with = |at: usize, value: u8| {
        let mut packet = good.clone();
        packet[at] = value;
        packet
    };
    let two = with(5, 2);
    let none = with(5, 0);
    let answer = with(2, 0x81);
    let update = with(2, 0x29);
    let trailing = [good.as_slice(), b"x"].concat();
    let cut = &good[..good.len() - 1];
    // A pointer to itself.
    let looping = [&good[..12], &[0xc0, 12, 0, 1, 0, 1]].concat();
    for (packet, wanted) in [
        (two.as_slice(), Some(Rcode::FORMERR)),
        (&none, Some(Rcode::FORMERR)),
        (&trailing, Some(Rcode::FORMERR)),
        (cut, Some(Rcode::FORMERR)),
        (&looping, Some(Rcode::FORMERR)),
        (&update, Some(Rcode::NOTIMP)),
        (&answer, None),
        (&good[..11], None),
        (&[], None),
    ] {
        let (verdict, out) = bench.answer(packet, HOST, Transport::Udp);
        match wanted {
            None => assert_eq!(verdict, Verdict::Silence, "{packet:02x?}"),
            Some(rcode) => {
                let header = Message::from_octets(&out).unwrap().header();
                assert_eq!(
                    (verdict, header.rcode()),
                    (Verdict::Malformed, rcode),
                    "{packet:02x?}"
                );
                assert!(header.qr() && header.id() == 0x1234 && out.len() == 12);
            }
        }
    }
}

#[test]
fn what_is_not_ours_is_for_others() {
    let bench = bench();
    for name in [
        "example.com",
        ".",
        "weave.local.example.com",
        "xweave.local",
        "9.9.9.10.in-addr.arpa",
    ] {
        let (verdict, _) = bench.answer(&query(name, Rtype::A), HOST, Transport::Udp);
        assert_eq!(verdict, Verdict::Forward, "{name}");
    }
}

#[test]
fn a_domain_of_one_label() {
    let mut bench = bench();
    bench.zone = Zone::new("internal", 1, false).unwrap();
    bench.update(Changes {
        names: vec![name("a", "a", None, &["10.0.0.1"])],
        ..Changes::default()
    });
    let records = |name, rtype| bench.ask(name, rtype, HOST).records().len();
    assert_eq!(
        [
            records("a", Rtype::A),
            records("a.internal", Rtype::A),
            records("internal", Rtype::SOA)
        ],
        [1, 1, 1]
    );
}

#[test]
fn names_below_make_a_name_exist_for_as_long_as_there_are_any() {
    let mut bench = bench();
    let rcode = |bench: &Bench| bench.ask("b.weave.local", Rtype::A, HOST).rcode();
    assert_eq!(rcode(&bench), Rcode::NXDOMAIN);
    bench.update(Changes {
        names: vec![name("deep", "a.b.weave.local", None, &["10.0.0.1"])],
        ..Changes::default()
    });
    assert_eq!(rcode(&bench), Rcode::NOERROR);
    bench.update(Changes {
        names_gone: strings(&["deep"]),
        ..Changes::default()
    });
    assert_eq!(rcode(&bench), Rcode::NXDOMAIN);
}

#[test]
fn services_have_the_ports_that_were_meant() {
    let bench = bench();
    for (name, ports) in [
        ("_http._tcp.web", &["0 0 80 Web.weave.local"][..]),
        ("_80._tcp.web.weave.local", &["0 0 80 Web.weave.local"]),
        ("_53._udp.web.weave.local", &["0 0 53 Web.weave.local"]),
        ("_80._udp.web.weave.local", &[]),
        ("_80.web.weave.local", &[]),
        ("_x._80._tcp.web.weave.local", &[]),
        ("web", &["0 0 53 Web.weave.local", "0 0 80 Web.weave.local"]),
        ("many", &[]),
    ] {
        assert_eq!(bench.ask(name, Rtype::SRV, HOST).records(), ports, "{name}");
    }
    let rcode = |name, rtype| bench.ask(name, rtype, HOST).rcode();
    assert_eq!(rcode("_80._udp.web", Rtype::SRV), Rcode::NXDOMAIN);
    assert_eq!(rcode("_80._tcp.web", Rtype::TXT), Rcode::NOERROR);
}

#[test]
fn a_name_may_begin_as_a_service_does() {
    let bench = Bench::new(Changes {
        names: vec![name("own", "_own", None, &["10.0.0.1"])],
        ..Changes::default()
    });
    for text in ["_own", "_own.weave.local"] {
        assert_eq!(bench.ask(text, Rtype::A, HOST).records(), ["10.0.0.1"]);
    }
}

#[test]
fn everything_goes_without_a_trace() {
    let mut bench = bench();
    bench.update(Changes {
        names_gone: (0..50)
            .map(|i| format!("m{i}"))
            .chain(["w".to_owned()])
            .collect(),
        ..Changes::default()
    });
    assert!(table::read(&bench.table).is_empty());
}
