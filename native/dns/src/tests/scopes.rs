use super::*;

fn bench() -> Bench {
    Bench::new(Changes {
        networks: vec![
            network("blue", &["10.1.0.0/16", "fd00:1::/64"]),
            network("red", &["10.2.0.0/16"]),
        ],
        names: vec![
            name("b", "web", Some("blue"), &["10.1.0.1", "fd00:1::1"]),
            name("r", "web", Some("red"), &["10.2.0.1"]),
            name("r2", "db", Some("red"), &["10.2.0.2"]),
            name("r3", "cart.shop.weave.local", Some("red"), &["10.2.0.3"]),
            name("n", "any", None, &["203.0.113.1"]),
        ],
        askers: vec![asker("10.1.0.9", &["blue", "red"])],
        ..Changes::default()
    })
}

#[test]
fn a_name_is_the_addresses_that_the_asker_can_reach() {
    let bench = bench();
    for (asker, addresses) in [
        ("10.1.0.5", &["10.1.0.1"][..]),
        ("fd00:1::5", &["10.1.0.1"]),
        ("10.2.0.5", &["10.2.0.1"]),
        ("10.1.0.9", &["10.1.0.1", "10.2.0.1"]),
        (HOST, &["10.1.0.1", "10.2.0.1"]),
    ] {
        assert_eq!(
            bench.ask("web", Rtype::A, asker).records(),
            addresses,
            "{asker}"
        );
        assert_eq!(bench.ask("any", Rtype::A, asker).records(), ["203.0.113.1"]);
    }
}

#[test]
fn what_cannot_be_reached_does_not_exist() {
    let bench = bench();
    let rcode = |name, rtype, asker| bench.ask(name, rtype, asker).rcode();
    assert_eq!(
        rcode("db.weave.local", Rtype::A, "10.1.0.5"),
        Rcode::NXDOMAIN
    );
    assert_eq!(
        rcode("db.weave.local", Rtype::A, "10.2.0.5"),
        Rcode::NOERROR
    );
    // Nor because of what is below it.
    assert_eq!(
        rcode("shop.weave.local", Rtype::A, "10.1.0.5"),
        Rcode::NXDOMAIN
    );
    assert_eq!(
        rcode("shop.weave.local", Rtype::A, "10.2.0.5"),
        Rcode::NOERROR
    );
    // It has one, but not for this asker.
    let said = bench.ask("web", Rtype::AAAA, "10.2.0.5");
    assert_eq!((said.rcode(), said.records().len()), (Rcode::NOERROR, 0));
}

#[test]
fn addresses_have_names_for_who_can_reach_them() {
    let bench = bench();
    let ask = |asker| bench.ask("1.0.2.10.in-addr.arpa", Rtype::PTR, asker);
    assert_eq!(ask("10.2.0.5").records(), ["web.weave.local."]);
    assert_eq!(ask("10.1.0.5").rcode(), Rcode::NXDOMAIN);
    assert_eq!(ask("10.1.0.9").records(), ["web.weave.local."]);
    let none = bench.ask("1.0.2.10.in-addr.arpa", Rtype::TXT, HOST);
    assert_eq!((none.rcode(), none.records().len()), (Rcode::NOERROR, 0));
}

#[test]
fn an_address_is_called_by_what_it_was_called_first() {
    let mut bench = bench();
    let ask = |bench: &Bench| {
        bench
            .ask("1.0.1.10.in-addr.arpa", Rtype::PTR, HOST)
            .records()
    };
    bench.update(Changes {
        names: vec![name("alias", "www", Some("blue"), &["10.1.0.1"])],
        ..Changes::default()
    });
    assert_eq!(ask(&bench), ["web.weave.local."]);
    bench.update(Changes {
        names_gone: strings(&["b"]),
        ..Changes::default()
    });
    assert_eq!(ask(&bench), ["www.weave.local."]);
}

#[test]
fn what_is_put_again_moves() {
    let mut bench = bench();
    bench.update(Changes {
        names: vec![name("b", "moved", Some("red"), &["10.2.0.7"])],
        ..Changes::default()
    });
    assert_eq!(bench.ask("web", Rtype::A, HOST).records(), ["10.2.0.1"]);
    assert_eq!(
        bench.ask("moved", Rtype::A, "10.2.0.5").records(),
        ["10.2.0.7"]
    );
    assert_eq!(
        bench.ask("1.0.1.10.in-addr.arpa", Rtype::PTR, HOST).rcode(),
        Rcode::NXDOMAIN
    );
}

#[test]
fn everything_is_replaced_at_once() {
    let mut bench = bench();
    bench.update(Changes {
        everything_gone: true,
        names: vec![name("x", "x", Some("blue"), &["10.1.0.1"])],
        ..Changes::default()
    });
    // Its network is not known any more: who asks is on none.
    assert_eq!(bench.ask("x", Rtype::A, "10.1.0.9").records(), ["10.1.0.1"]);
    assert_eq!(
        bench.ask("web.weave.local", Rtype::A, HOST).rcode(),
        Rcode::NXDOMAIN
    );
    assert_eq!(table::read(&bench.table).len(), 1);
}
