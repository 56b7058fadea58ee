//! Does a measured amount of work, for callgrind to count what one attach and one full pass cost this crate.
//! usage: work ENDPOINTS PASSES

#![allow(clippy::unwrap_used)]

#[path = "../tests/lab/mod.rs"]
mod lab;

use lab::{Container, Host, attach};
use weave_kernel::Query;

/// The same in every run, so that only what is asked for makes a difference.
const CONTAINERS: usize = 60;

fn main() {
    let asked: Vec<usize> = std::env::args()
        .skip(1)
        .map(|word| word.parse().unwrap())
        .collect();
    let [endpoints, passes] = asked.as_slice() else {
        panic!("usage: work ENDPOINTS PASSES");
    };
    let host = Host::with_bridge();
    let containers: Vec<Container> = (0..CONTAINERS).map(|_| Container::new()).collect();
    let attached = &containers[..*endpoints];
    for (number, container) in (2..).zip(attached) {
        host.apply_all(attach(&format!("v{number}"), container, number));
    }
    let queries: Vec<Query> = attached.iter().map(of_sandbox).collect();
    for _ in 0..*passes {
        host.observe("switch", None);
        let seen = host.kernel.observe_and_wait(queries.clone());
        assert!(seen.iter().all(|each| each.links.len() == 1));
    }
    // Taking everything down again would be counted too.
    std::process::exit(0);
}

fn of_sandbox(container: &Container) -> Query {
    Query {
        netns: container.path.clone(),
        links: Some(vec!["ethwe".to_owned()]),
        ..Query::default()
    }
}
