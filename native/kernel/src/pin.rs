//! The switch namespace and the file that keeps it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::ErrorKind,
    os::{
        fd::AsFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::Path,
    thread,
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};

use crate::{
    error::{Error, Result},
    message::link::{Traits, set},
    netns::{self, Netns},
    socket::RouteSocket,
};

const THREAD_NETNS: &str = "/proc/thread-self/ns/net";

/// Opens the namespace pinned at `path`, making and pinning one when there is none.
pub fn open(path: &Path, host: &Netns) -> Result<Netns> {
    let parent = path
        .parent()
        .filter(|_| path.is_absolute())
        .ok_or_else(|| Error::invalid("switchPath", "not an absolute path of a file"))?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(parent)?;
    // Two processes that open the same switch at once must end up in one namespace.
    let _lock = Flock::lock(File::open(parent)?, FlockArg::LockExclusive)
        .map_err(|(_, errno)| Error::from(errno))?;
    if let Some(switch) = pinned(path)? {
        return distinct(switch, host);
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o444)
        .open(path)?;
    pin_new(path)
        .and_then(|()| netns::open(path))
        .inspect_err(|_| {
            let _ = unpin(path);
        })
}

/// The namespace pinned at `path`. A file that is no pin is a leftover from before a reboot; it goes.
fn pinned(path: &Path) -> Result<Option<Netns>> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        outcome => outcome?,
    };
    let is_pin = netns::is_nsfs(File::open(path)?.as_fd())?;
    if is_pin {
        return netns::open(path).map(Some);
    }
    // What we leave behind is empty; anything else is someone's file.
    if !metadata.is_file() || metadata.len() > 0 {
        return Err(Error::new(
            Errno::EEXIST,
            format!("{}: not a pinned namespace and not empty", path.display()),
        ));
    }
    fs::remove_file(path)?;
    Ok(None)
}

/// The host's own namespace must never be taken for the switch: all in the switch is ours to delete.
fn distinct(switch: Netns, host: &Netns) -> Result<Netns> {
    if netns::key(switch.as_fd())? == netns::key(host.as_fd())? {
        return Err(Error::invalid("switchPath", "the host's own namespace"));
    }
    Ok(switch)
}

fn pin_new(path: &Path) -> Result<()> {
    let path = path.to_owned();
    let made = thread::Builder::new()
        .name("weave-pin".to_owned())
        .spawn(move || -> Result<()> {
            unshare(CloneFlags::CLONE_NEWNET)?;
            RouteSocket::open()?.change(&set(
                "lo",
                &Traits {
                    up: Some(true),
                    ..Traits::default()
                },
            ))?;
            let none = None::<&Path>;
            Ok(mount(
                Some(THREAD_NETNS),
                &path,
                none,
                MsFlags::MS_BIND,
                none,
            )?)
        })?
        .join();
    made.unwrap_or_else(|_| Err(Error::panicked("while pinning the switch")))
}

/// Takes the pin away; the namespace lives on until nobody holds it open.
pub fn unpin(path: &Path) -> Result<()> {
    match umount2(path, MntFlags::MNT_DETACH) {
        // EINVAL: not a mount point any more.
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => Ok(outcome?),
    }
}
