//! Hosts and containers for tests: network namespaces that end with the test. Nothing here skips: without
//! root, `ip` or `ping`, a test fails and says so.

// Each test file uses another part of it; and a test may panic, also in its helpers.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc
)]

use std::{
    fs::{self, File},
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use nix::sched::{CloneFlags, setns, unshare};
use weave_kernel::{
    Applied, Bridge, Failure, Kernel, Observed, ObservedLink, Op, Peer, Query, Settings, Veth,
};

pub const MTU: u32 = 1450;

/// A network namespace of its own.
pub struct Container {
    netns: OwnedFd,
    pub path: String,
}

impl Container {
    pub fn new() -> Self {
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("these tests need root");
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        let netns = OwnedFd::from(made.join().unwrap());
        let path = format!("/proc/self/fd/{}", netns.as_raw_fd());
        Self { netns, path }
    }

    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        inside(&self.netns, work)
    }

    pub fn run(&self, command: &str) -> Output {
        self.inside(|| run(command))
    }

    /// The answer of `ip -j …`, an independent witness.
    pub fn ip(&self, command: &str) -> String {
        printed(&self.run(&format!("ip -j -d {command}")))
    }

    pub fn pings(&self, address: &str) -> bool {
        self.run(&format!("ping -n -c 1 -W 3 {address}"))
            .status
            .success()
    }
}

/// Works on a thread of its own: one that entered a namespace is not used for anything else.
fn inside<T: Send>(netns: &OwnedFd, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            setns(netns, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        worker.join().unwrap()
    })
}

fn run(command: &str) -> Output {
    let mut words = command.split_whitespace();
    let program = words.next().unwrap();
    Command::new(program)
        .args(words)
        .output()
        .unwrap_or_else(|error| panic!("these tests need `{program}`: {error}"))
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A host: a namespace to be `host`, a switch pinned in a directory of its own, a kernel handle on both.
pub struct Host {
    pub container: Container,
    pub kernel: Kernel,
    pub switch_path: PathBuf,
    directory: PathBuf,
}

impl Host {
    pub fn new() -> Self {
        Self::on(Container::new())
    }

    pub fn on(container: Container) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("weave-{}-{count}", std::process::id()));
        let switch_path = directory.join("run/netns");
        let kernel = Kernel::open(&settings(&container, switch_path.clone())).unwrap();
        Self {
            container,
            kernel,
            switch_path,
            directory,
        }
    }

    /// Another handle on the same switch, as a restarted daemon has it.
    pub fn reopened(&self) -> Kernel {
        Kernel::open(&settings(&self.container, self.switch_path.clone())).unwrap()
    }

    pub fn apply(&self, ops: Vec<Op>) -> Applied {
        self.kernel.apply_and_wait(vec![ops]).remove(0)
    }

    pub fn apply_all(&self, ops: Vec<Op>) {
        let count = ops.len();
        let applied = self.apply(ops);
        assert_eq!(applied.failed, None);
        assert_eq!(applied.done, count);
    }

    pub fn fails(&self, ops: Vec<Op>) -> Failure {
        let applied = self.apply(ops);
        let failed = applied.failed.expect("it must fail");
        assert_eq!(failed.index, applied.done);
        failed
    }

    pub fn observe(&self, netns: &str, links: Option<&[&str]>) -> Observed {
        let query = Query {
            netns: netns.to_owned(),
            links: links.map(|names| names.iter().map(ToString::to_string).collect()),
            ..Query::default()
        };
        self.kernel.observe_and_wait(vec![query]).remove(0)
    }

    pub fn link(&self, netns: &str, name: &str) -> Option<ObservedLink> {
        self.observe(netns, Some(&[name])).links.pop()
    }

    /// `ip -j …` in the switch.
    pub fn ip(&self, command: &str) -> String {
        let switch = OwnedFd::from(File::open(&self.switch_path).unwrap());
        inside(&switch, || printed(&run(&format!("ip -j -d {command}"))))
    }

    /// Behind the handle's back.
    pub fn in_switch(&self, command: &str) {
        let switch = OwnedFd::from(File::open(&self.switch_path).unwrap());
        let output = inside(&switch, || run(command));
        assert!(output.status.success(), "{command}: {output:?}");
    }

    pub fn with_bridge() -> Self {
        let host = Self::new();
        host.apply_all(vec![bridge("br0")]);
        host
    }
}

pub fn settings(host: &Container, switch_path: PathBuf) -> Settings {
    Settings {
        host_path: host.path.clone().into(),
        ..Settings::new(switch_path)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.kernel.destroy_and_wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

pub fn bridge(name: &str) -> Op {
    Op::AddBridge(Bridge {
        netns: "switch".to_owned(),
        name: name.to_owned(),
        mac: "02:00:00:00:00:01".to_owned(),
        mtu: MTU,
        alias: Some("what it is".to_owned()),
    })
}

/// A pair from `br0` to `ethwe` in a container.
pub fn pair(name: &str, container: &Container) -> Veth {
    Veth {
        netns: "switch".to_owned(),
        name: name.to_owned(),
        mtu: MTU,
        master: Some("br0".to_owned()),
        mac: None,
        up: true,
        isolated: false,
        peer: Peer {
            netns: container.path.clone(),
            name: "ethwe".to_owned(),
            mtu: MTU,
            mac: None,
            master: None,
            up: true,
        },
    }
}

pub fn address(netns: &str, link: &str, address: &str) -> Op {
    Op::AddAddress {
        netns: netns.to_owned(),
        link: link.to_owned(),
        address: address.to_owned(),
    }
}

pub fn route(netns: &str, link: &str, destination: &str, gateway: Option<&str>) -> Op {
    Op::AddRoute {
        netns: netns.to_owned(),
        link: link.to_owned(),
        destination: destination.to_owned(),
        gateway: gateway.map(ToOwned::to_owned),
        if_absent: false,
    }
}

/// `eth0` of two hosts, from the one that makes it to the other.
pub fn cable(to: &Host) -> Op {
    let (name, mtu) = ("eth0".to_owned(), 1500);
    Op::AddVeth(Veth {
        netns: "host".to_owned(),
        name: name.clone(),
        mtu,
        up: true,
        peer: Peer {
            netns: to.container.path.clone(),
            name,
            mtu,
            up: true,
            ..Peer::default()
        },
        ..Veth::default()
    })
}

pub fn delete_link(netns: &str, name: &str) -> Op {
    Op::DeleteLink {
        netns: netns.to_owned(),
        name: name.to_owned(),
    }
}

/// All that an endpoint needs: `10.32.0.N/24` and `fd00::N/64`, a default route, multicast.
pub fn attach(name: &str, container: &Container, last: u8) -> Vec<Op> {
    let netns = container.path.as_str();
    vec![
        Op::AddVeth(pair(name, container)),
        address(netns, "ethwe", &format!("10.32.0.{last}/24")),
        address(netns, "ethwe", &format!("fd00::{last:x}/64")),
        route(netns, "ethwe", "0.0.0.0/0", Some("10.32.0.1")),
        route(netns, "ethwe", "224.0.0.0/4", None),
    ]
}

/// Waits for what another thread or the kernel brings about.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "not within 5 s: {what}"
        );
        thread::sleep(Duration::from_millis(5));
    }
}
