//! Attaching: pairs made in place, contents in one batch, pings.

mod lab;

use lab::{Container, Host, MTU, attach, bridge, delete_link, pair};
use weave_kernel::Op;

#[test]
fn two_containers_on_a_bridge_ping_each_other_over_both_families() {
    let host = Host::with_bridge();
    let (a, b) = (Container::new(), Container::new());
    host.apply_all(attach("va", &a, 2));
    host.apply_all(attach("vb", &b, 3));
    assert!(a.pings("10.32.0.3"));
    // At once: the addresses are not tentative.
    assert!(b.pings("fd00::2"));
}

#[test]
fn the_far_end_has_its_final_name_and_the_host_sees_none_of_it() {
    let host = Host::with_bridge();
    let a = Container::new();
    host.apply_all(attach("va", &a, 2));
    let seen = a.ip("link show ethwe");
    assert!(seen.contains(r#""ifname":"ethwe""#), "{seen}");
    assert!(seen.contains(r#""mtu":1450"#), "{seen}");
    assert!(seen.contains(r#""info_kind":"veth""#), "{seen}");
    let seen = host.ip("link show va");
    assert!(seen.contains(r#""master":"br0""#), "{seen}");
    let seen = host.container.ip("link show");
    assert!(
        !seen.contains("ethwe") && !seen.contains("va") && !seen.contains("br0"),
        "{seen}"
    );
}

#[test]
fn a_bridge_is_quiet_and_keeps_its_mac() {
    let host = Host::with_bridge();
    let a = Container::new();
    host.apply_all(attach("va", &a, 2));
    let seen = host.ip("link show br0");
    for fact in [
        r#""address":"02:00:00:00:00:01""#,
        r#""stp_state":0"#,
        r#""forward_delay":0"#,
        r#""mcast_snooping":0"#,
        r#""operstate":"UP""#,
    ] {
        assert!(seen.contains(fact), "{fact} in {seen}");
    }
}

#[test]
fn applying_again_changes_nothing() {
    let host = Host::with_bridge();
    let a = Container::new();
    host.apply_all(attach("va", &a, 2));
    // What the kernel adds by itself, it adds when it likes.
    let seen = || {
        let mut inside = host.observe(&a.path, None);
        inside
            .addresses
            .retain(|found| !found.address.starts_with("fe80"));
        inside
            .routes
            .retain(|found| !found.destination.starts_with("fe80"));
        inside.neighbours.clear();
        (host.link("switch", "va"), inside)
    };
    let before = seen();
    host.apply_all(vec![bridge("br0")]);
    host.apply_all(attach("va", &a, 2));
    assert_eq!(seen(), before);
}

#[test]
fn an_existing_pair_is_brought_to_what_is_wanted() {
    let host = Host::with_bridge();
    let a = Container::new();
    host.apply_all(vec![Op::AddVeth(pair("va", &a))]);
    let before = host.link("switch", "va").unwrap();
    let mut wanted = pair("va", &a);
    wanted.mtu = 1300;
    wanted.master = Some(String::new());
    wanted.mac = Some("02:00:00:00:00:0a".to_owned());
    wanted.peer.mtu = 1300;
    wanted.peer.mac = Some("02:00:00:00:00:0b".to_owned());
    host.apply_all(vec![Op::AddVeth(wanted)]);
    let near = host.link("switch", "va").unwrap();
    assert_eq!(near.index, before.index, "not made anew");
    assert_eq!(
        (near.mtu, near.mac.as_str(), near.master),
        (1300, "02:00:00:00:00:0a", None)
    );
    let far = host.link(&a.path, "ethwe").unwrap();
    assert_eq!(
        (far.mtu, far.mac.as_str(), far.up),
        (1300, "02:00:00:00:00:0b", true)
    );
    assert_eq!(near.peer_index, Some(far.index));
}

#[test]
fn a_near_end_whose_peer_is_elsewhere_is_made_anew() {
    let host = Host::with_bridge();
    let (a, b) = (Container::new(), Container::new());
    host.apply_all(attach("va", &a, 2));
    host.apply_all(attach("va", &b, 2));
    assert_eq!(host.link(&a.path, "ethwe"), None);
    assert!(host.link(&b.path, "ethwe").is_some());
}

/// Two containers that are alike have the same interface indices: only the namespace tells them apart.
#[test]
fn equal_indices_do_not_make_a_pair() {
    let host = Host::with_bridge();
    let (a, b) = (Container::new(), Container::new());
    host.apply_all(vec![Op::AddVeth(pair("va", &a))]);
    host.apply_all(vec![Op::AddVeth(pair("vb", &b))]);
    let (in_a, in_b) = (host.link(&a.path, "ethwe"), host.link(&b.path, "ethwe"));
    assert_eq!(in_a.unwrap().index, in_b.unwrap().index);
    let failed = host.fails(vec![Op::AddVeth(pair("va", &b))]);
    assert_eq!(
        (failed.code.as_str(), failed.link.as_deref()),
        ("EEXIST", Some("ethwe"))
    );
}

#[test]
fn a_taken_peer_name_is_a_failure_that_names_it_and_takes_nothing() {
    let host = Host::with_bridge();
    let a = Container::new();
    assert!(a.run("ip link add ethwe type bridge").status.success());
    let failed = host.fails(attach("va", &a, 2));
    assert_eq!((failed.index, failed.op, failed.errno), (0, "addVeth", 17));
    assert_eq!(failed.link.as_deref(), Some("ethwe"));
    assert_eq!(failed.netns.as_deref(), Some(a.path.as_str()));
    assert_eq!(host.link(&a.path, "ethwe").unwrap().kind, "bridge");
    assert_eq!(host.link("switch", "va"), None);
}

#[test]
fn in_the_switch_a_link_of_another_kind_gives_way() {
    let host = Host::with_bridge();
    let a = Container::new();
    host.apply_all(vec![bridge("va")]);
    host.apply_all(attach("va", &a, 2));
    assert_eq!(host.link("switch", "va").unwrap().kind, "veth");
    host.apply_all(vec![bridge("va")]);
    assert_eq!(host.link("switch", "va").unwrap().kind, "bridge");
}

#[test]
fn outside_the_switch_a_link_of_another_kind_stays() {
    let host = Host::with_bridge();
    let a = Container::new();
    assert!(
        host.container
            .run("ip link add va type bridge")
            .status
            .success()
    );
    let mut wanted = pair("va", &a);
    wanted.netns = "host".to_owned();
    wanted.master = None;
    let failed = host.fails(vec![Op::AddVeth(wanted)]);
    assert_eq!(
        (failed.code.as_str(), failed.link.as_deref()),
        ("EEXIST", Some("va"))
    );
    assert_eq!(host.link("host", "va").unwrap().kind, "bridge");
}

#[test]
fn a_pair_may_have_both_ends_in_one_namespace() {
    let host = Host::with_bridge();
    let a = Container::new();
    let mut wanted = pair("va", &a);
    wanted.netns.clone_from(&a.path);
    wanted.master = None;
    host.apply_all(vec![Op::AddVeth(wanted.clone())]);
    let before = host.link(&a.path, "va").unwrap();
    host.apply_all(vec![Op::AddVeth(wanted)]);
    assert_eq!(host.link(&a.path, "va"), Some(before));
}

#[test]
fn links_are_set_and_deleted() {
    let host = Host::with_bridge();
    let a = Container::new();
    host.apply_all(attach("va", &a, 2));
    let set = Op::SetLink {
        netns: "switch".to_owned(),
        name: "va".to_owned(),
        up: Some(false),
        mtu: Some(1280),
        mac: Some("02:00:00:00:00:0c".to_owned()),
        master: Some(String::new()),
    };
    host.apply_all(vec![set.clone(), set]);
    let va = host.link("switch", "va").unwrap();
    assert_eq!(
        (va.up, va.mtu, va.mac.as_str(), va.master),
        (false, 1280, "02:00:00:00:00:0c", None)
    );
    host.apply_all(vec![
        delete_link("switch", "va"),
        delete_link("switch", "va"),
    ]);
    assert_eq!(host.link("switch", "va"), None);
    assert_eq!(host.link(&a.path, "ethwe"), None);
    assert_eq!(host.link("switch", "br0").unwrap().mtu, MTU);
}
