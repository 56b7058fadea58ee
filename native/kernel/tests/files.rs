//! A process that has as many files open as it may. In a program of its own: the limit is the process's.

mod lab;

use std::{fs::File, process::Command, thread, time::Duration};

use lab::{Container, Host, address, attach, eventually};
use weave_kernel::{Op, identity};

#[test]
fn as_many_files_as_there_may_be() {
    let host = Host::with_bridge();
    let (a, b) = (Container::new(), Container::new());
    host.apply_all(attach("va", &a, 2));
    let pid = std::process::id().to_string();
    let limited = Command::new("prlimit")
        .args(["--pid", &pid, "--nofile=128:"])
        .status();
    assert!(limited.unwrap().success());
    let exhaust = || std::iter::from_fn(|| File::open("/dev/null").ok());
    let mut files: Vec<File> = exhaust().collect();

    assert_eq!(identity(&b.path).unwrap_err().code, "EMFILE");
    assert_eq!(host.observe(&b.path, None).code.as_deref(), Some("EMFILE"));
    let failed = host.fails(vec![address(&b.path, "lo", "10.0.0.1/8")]);
    assert_eq!(failed.code, "EMFILE");
    // What needs no file goes on.
    files.extend(exhaust());
    host.apply_all(vec![Op::RetireLink {
        netns: "switch".to_owned(),
        name: "va".to_owned(),
    }]);
    thread::sleep(Duration::from_millis(100));
    assert!(
        host.observe("switch", None)
            .links
            .iter()
            .any(|link| link.name.starts_with("wr"))
    );

    drop(files);
    eventually("what could not be deleted is, by itself", || {
        !a.ip("link show").contains("ethwe")
    });
    host.apply_all(attach("vb", &b, 3));
}
