//! What `docker run --init` asks for: a first process that passes signals on, and takes in what nobody waits for.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, setpgid, tcsetpgrp};

/// Runs a command to its end, and answers the exit code that tells of it.
pub fn run(command: &mut Command) -> io::Result<i32> {
    let mut heard = SigSet::all();
    // These tell of a mistake of ours.
    for fault in [
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGFPE,
        Signal::SIGILL,
        Signal::SIGABRT,
    ] {
        heard.remove(fault);
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&heard), None)?;
    // SAFETY: only system calls.
    unsafe { command.pre_exec(|| own_group().map_err(io::Error::from)) };
    let child = Pid::from_raw(i32::try_from(command.spawn()?.id()).map_err(io::Error::other)?);
    loop {
        match heard.wait()? {
            Signal::SIGCHLD => {
                if let Some(code) = reap(child)? {
                    return Ok(code);
                }
            }
            signal => match kill(child, signal) {
                // It ended just now, and SIGCHLD says so.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error.into()),
            },
        }
    }
}

/// So that what the terminal sends reaches it once; without a terminal there is nothing to take over.
fn own_group() -> nix::Result<()> {
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    let _ = tcsetpgrp(io::stdin(), getpid());
    SigSet::empty().thread_set_mask()
}

/// Takes in all that has ended.
fn reap(child: Pid) -> nix::Result<Option<i32>> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => return Ok(Some(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                return Ok(Some(128 + signal as i32));
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(error),
        }
    }
}
