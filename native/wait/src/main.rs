//! Mounted by `weave run` in the place of the engine's `docker-init`, so that the engine starts it with the container's own
//! command behind it: waits until Weave has attached the container, then becomes that command. One static file, as it
//! runs in whatever image.

mod init;

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, exit};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, fs};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// A daemon that is starting, or one whose host is very busy, is waited for; one that never comes is said to be missing.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);
/// What the engine's client says when a container could not be started.
const NOT_STARTED: i32 = 125;
/// Set where the engine was asked for an init process, whose place this one has.
const INIT: &str = "WEAVE_INIT";

fn main() {
    let mut words = env::args_os().skip(1).peekable();
    words.next_if(|word| word == "--");
    let words: Vec<OsString> = words.collect();
    let Some((program, args)) = words.split_first() else {
        fail(NOT_STARTED, "no command was given");
    };
    end_on_request();
    if !wait(Path::new("/proc/sys/net/ipv4/conf"), PATIENCE) {
        fail(
            NOT_STARTED,
            "this container was made by weave run, and is on no weave network after 60 s: see weave status, and weave start",
        );
    }
    let mut command = Command::new(program);
    command.args(args);
    let error = if env::var_os(INIT).is_some() {
        command.env_remove(INIT);
        match init::run(&mut command) {
            Ok(code) => exit(code),
            Err(error) => error,
        }
    } else {
        command.exec()
    };
    let code = if error.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    };
    fail(code, &format!("{}: {error}", program.display()));
}

/// As the first process of its namespace it would not hear what asks it to end.
fn end_on_request() {
    let action = SigAction::new(
        SigHandler::Handler(ended),
        SaFlags::empty(),
        SigSet::empty(),
    );
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        // SAFETY: the handler does nothing but end the process, without running anything else of it.
        let _ = unsafe { sigaction(signal, &action) };
    }
}

extern "C" fn ended(signal: i32) {
    // SAFETY: it may be called in a handler.
    unsafe { nix::libc::_exit(128 + signal) }
}

/// Whether an interface was attached within this time.
fn wait(conf: &Path, patience: Duration) -> bool {
    let begun = Instant::now();
    while !is_attached(conf) {
        if begun.elapsed() > patience {
            return false;
        }
        sleep(POLL);
    }
    true
}

/// Of an attachment the tag is set last.
fn is_attached(conf: &Path) -> bool {
    let Ok(links) = fs::read_dir(conf) else {
        return false;
    };
    links.flatten().any(|link| {
        let tag = || fs::read_to_string(link.path().join("tag"));
        link.file_name().as_bytes().starts_with(b"ethwe")
            && tag().is_ok_and(|text| text.trim() != "0")
    })
}

fn fail(code: i32, what: &str) -> ! {
    // Whether anybody reads it or not.
    let _ = writeln!(io::stderr(), "weave: {what}");
    exit(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(name: &str, tags: &[(&str, &str)]) -> std::path::PathBuf {
        let conf = env::temp_dir().join(format!("weave-wait-{}-{name}", std::process::id()));
        for (link, tag) in tags {
            fs::create_dir_all(conf.join(link)).expect("a directory");
            fs::write(conf.join(link).join("tag"), tag).expect("a file");
        }
        conf
    }

    #[test]
    fn only_a_tagged_link_of_weave_is_waited_for() {
        for (name, tags, is) in [
            ("tagged", vec![("eth0", "0\n"), ("ethwe", "1\n")], true),
            ("other-network", vec![("ethwe-blue", "1\n")], true),
            ("engines", vec![("ethwe0", "0\n")], false),
            ("somebodys", vec![("eth0", "7\n")], false),
            ("none", vec![], false),
        ] {
            let conf = links(name, &tags);
            assert_eq!(is_attached(&conf), is, "{name}");
            let _ = fs::remove_dir_all(conf);
        }
    }

    #[test]
    fn waiting_ends() {
        let conf = links("late", &[("ethwe", "0\n")]);
        assert!(!wait(&conf, Duration::from_millis(20)));
        let late = conf.clone();
        let attach = std::thread::spawn(move || {
            sleep(Duration::from_millis(30));
            fs::write(late.join("ethwe/tag"), "1\n").expect("a file");
        });
        assert!(wait(&conf, Duration::from_secs(30)));
        attach.join().expect("it ends");
        let _ = fs::remove_dir_all(conf);
    }
}
