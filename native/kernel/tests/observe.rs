//! Reading: a whole namespace, or links by name with what is on them.

mod lab;

use lab::{Container, Host, attach};

#[test]
fn a_whole_namespace() {
    let host = Host::with_bridge();
    let a = Container::new();
    host.apply_all(attach("va", &a, 2));
    // As DHCP and SLAAC make them: never ours.
    let leased = "ip addr add 10.32.0.99/24 dev ethwe valid_lft 900 preferred_lft 900";
    assert!(a.run(leased).status.success());
    let observed = host.observe(&a.path, None);
    assert!(
        !observed
            .addresses
            .iter()
            .any(|found| found.address == "10.32.0.99/24")
    );
    let names: Vec<&str> = observed
        .links
        .iter()
        .map(|link| link.name.as_str())
        .collect();
    assert_eq!(names, ["lo", "ethwe"]);
    assert!(
        observed
            .addresses
            .iter()
            .any(|found| found.link == "ethwe" && found.address == "fd00::2/64")
    );
    let connected = observed
        .routes
        .iter()
        .find(|found| found.destination == "10.32.0.0/24")
        .unwrap();
    assert_eq!(
        (connected.protocol, connected.link.as_deref()),
        (2, Some("ethwe"))
    );
    assert!(
        observed
            .routes
            .iter()
            .any(|found| found.destination == "224.0.0.0/4" && found.gateway.is_none())
    );
    assert!(
        observed
            .routes
            .iter()
            .all(|found| !found.destination.starts_with("127.")),
        "only the main table"
    );
}

#[test]
fn links_by_name_with_what_is_on_them_and_all_routes() {
    let host = Host::with_bridge();
    let a = Container::new();
    host.apply_all(attach("va", &a, 2));
    assert!(a.run("ip link add other type bridge").status.success());
    assert!(a.run("ip addr add 192.0.2.1/24 dev other").status.success());
    assert!(a.run("ip link set other up").status.success());
    let observed = host.observe(
        &a.path,
        Some(&["ethwe", "absent", "", "far-too-long-a-name"]),
    );
    assert_eq!(observed.code, None);
    assert_eq!(observed.links.len(), 1);
    assert!(observed.addresses.iter().all(|found| found.link == "ethwe"));
    assert!(
        observed
            .routes
            .iter()
            .any(|found| found.link.as_deref() == Some("other")),
        "routes are the namespace's"
    );
    assert!(
        observed
            .addresses
            .iter()
            .any(|found| found.address == "10.32.0.2/24")
    );
    assert!(
        observed
            .routes
            .iter()
            .any(|found| found.gateway.as_deref() == Some("10.32.0.1"))
    );
}

#[test]
fn a_links_particulars() {
    let host = Host::with_bridge();
    let a = Container::new();
    host.apply_all(attach("va", &a, 2));
    assert!(
        a.run("ip link set ethwe alias mine group 7")
            .status
            .success()
    );
    let near = host.link("switch", "va").unwrap();
    let far = host.link(&a.path, "ethwe").unwrap();
    assert_eq!(near.master.as_deref(), Some("br0"));
    assert_eq!(
        (near.kind.as_str(), near.mtu, near.up),
        ("veth", 1450, true)
    );
    assert_eq!((far.alias.as_deref(), far.group), (Some("mine"), 7));
    assert_eq!(
        (near.peer_index, far.peer_index),
        (Some(far.index), Some(near.index))
    );
    assert_eq!(host.link("switch", "br0").unwrap().mac, "02:00:00:00:00:01");
}

/// More than one datagram's worth, while the table keeps changing.
#[test]
fn a_large_table_that_changes_meanwhile() {
    let host = Host::with_bridge();
    let containers: Vec<Container> = (0..100).map(|_| Container::new()).collect();
    for (n, container) in containers.iter().enumerate() {
        host.apply_all(vec![weave_kernel::Op::AddVeth(lab::pair(
            &format!("v{n}"),
            container,
        ))]);
    }
    std::thread::scope(|scope| {
        let second = host.reopened();
        scope.spawn(move || {
            for n in 0..40 {
                let name = format!("c{}", n % 2);
                let churn = vec![lab::bridge(&name), lab::delete_link("switch", &name)];
                let _ = second.apply_and_wait(vec![churn]);
            }
        });
        for _ in 0..30 {
            let observed = host.observe("switch", None);
            if observed.code.is_none() {
                let pairs = observed
                    .links
                    .iter()
                    .filter(|link| link.name.starts_with('v'))
                    .count();
                assert_eq!(pairs, 100);
            } else {
                assert_eq!(observed.code.as_deref(), Some("EINTR"), "the only excuse");
            }
        }
    });
}

#[test]
fn the_alias_of_a_bridge() {
    let host = Host::with_bridge();
    let alias = || host.link("switch", "br0").unwrap().alias;
    assert_eq!(alias().as_deref(), Some("what it is"));
    let weave_kernel::Op::AddBridge(mut other) = lab::bridge("br0") else {
        panic!("a bridge");
    };
    other.alias = Some("something else".to_owned());
    host.apply_all(vec![weave_kernel::Op::AddBridge(other.clone())]);
    assert_eq!(alias().as_deref(), Some("something else"));
    other.alias = Some("x".repeat(256));
    let failed = host.fails(vec![weave_kernel::Op::AddBridge(other)]);
    assert_eq!(failed.code, "EINVAL");
}

#[test]
fn sysctls_that_exist_with_their_values() {
    let host = Host::new();
    let a = Container::new();
    let query = weave_kernel::Query {
        netns: a.path.clone(),
        links: Some(Vec::new()),
        sysctls: vec![
            "net/ipv4/ip_forward".to_owned(),
            "net/ipv4/conf/absent/forwarding".to_owned(),
        ],
    };
    let observe = || host.kernel.observe_and_wait(vec![query.clone()]).remove(0);
    let value = |seen: weave_kernel::Observed| {
        assert_eq!(seen.sysctls.len(), 1, "the absent one is not in the answer");
        seen.sysctls[0].value.clone()
    };
    let wanted = if value(observe()) == "0" { "1" } else { "0" };
    host.apply_all(vec![weave_kernel::Op::SetSysctl {
        netns: a.path.clone(),
        key: "net/ipv4/ip_forward".to_owned(),
        value: wanted.to_owned(),
        if_present: false,
    }]);
    assert_eq!(value(observe()), wanted);
    let bad = weave_kernel::Query {
        sysctls: vec!["kernel/hostname".to_owned()],
        ..query.clone()
    };
    let refused = host.kernel.observe_and_wait(vec![bad]).remove(0);
    assert_eq!(refused.code.as_deref(), Some("EINVAL"));
}
