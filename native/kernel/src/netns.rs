//! Network namespaces: opening them by path, telling them apart, working inside one and coming back.

use std::{
    cell::Cell,
    fs::{File, read_to_string},
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::Path,
    sync::{
        Arc, Mutex, OnceLock,
        mpsc::{Sender, channel},
    },
    thread,
};

use nix::{
    errno::Errno,
    libc,
    sched::{CloneFlags, setns},
    sys::{
        stat::fstat,
        statfs::{NSFS_MAGIC, fstatfs},
    },
};

use socket2::{Domain, Socket, Type};

use crate::error::{Error, Result};

pub const HOST: &str = "host";
pub const SWITCH: &str = "switch";
/// The namespace of the process's main thread.
pub const HOST_PATH: &str = "/proc/self/ns/net";

/// A namespace, held open. It lives at least as long as this.
pub type Netns = Arc<OwnedFd>;

/// The kernel's start and its cookie for a namespace: tells it from every other that there is or was. Its inode number
/// does not: a new namespace gets the lowest that is free, often that of the one which just went. `host` is taken too.
///
/// # Errors
/// ENOENT and its like when the path cannot be opened, EINVAL when it is no namespace.
pub fn identity(path: &str) -> Result<String> {
    let path = if path == HOST { HOST_PATH } else { path };
    let cookie = visitor().ask(open(Path::new(path))?)?;
    Ok(format!("{}:{cookie}", boot()))
}

/// Runs `work` inside a namespace, on a thread that ends with it: whoever calls stays where it is. `host` is taken too.
///
/// # Errors
/// As [`identity`]; EPERM when it may not be entered; those of `work`.
pub fn inside<T: Send>(path: &str, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let netns = open(Path::new(if path == HOST { HOST_PATH } else { path }))?;
    let visit = || {
        enter(&netns)?;
        work()
    };
    thread::scope(|scope| scope.spawn(visit).join())
        .unwrap_or_else(|_| Err(Error::panicked("in a namespace")))
}

/// A thread that may leave the process's namespace, as the caller's, which belongs to somebody else, may not.
struct Visitor {
    requests: Mutex<Sender<(Netns, Sender<Result<u64>>)>>,
}

fn visitor() -> &'static Visitor {
    static VISITOR: OnceLock<Visitor> = OnceLock::new();
    VISITOR.get_or_init(|| {
        let (requests, inbox) = channel::<(Netns, Sender<Result<u64>>)>();
        thread::spawn(move || {
            // The thread is new, and where its process is.
            let home = open(Path::new(HOST_PATH))?;
            for (netns, answer) in inbox {
                let cookie = enter(&netns).and_then(|()| cookie());
                // Whoever asked may have gone; staying in a namespace would keep it alive.
                let _ = answer.send(cookie);
                enter(&home)?;
            }
            Ok::<_, Error>(())
        });
        Visitor {
            requests: Mutex::new(requests),
        }
    })
}

impl Visitor {
    fn ask(&self, netns: Netns) -> Result<u64> {
        let (answer, inbox) = channel();
        let gone = || Error::from(Errno::EIO);
        let requests = self.requests.lock().map_err(|_| gone())?;
        requests.send((netns, answer)).map_err(|_| gone())?;
        inbox.recv().map_err(|_| gone())?
    }
}

/// Cookies begin again with each start of the kernel.
fn boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let id = read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.chars().take(8).collect()
    })
}

/// `SO_NETNS_COOKIE`, of the calling thread's namespace.
fn cookie() -> Result<u64> {
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    let mut cookie = 0_u64;
    #[allow(clippy::cast_possible_truncation)] // It is 8.
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: both pointers are to live values, and `length` says how large the first one is.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if outcome < 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(cookie)
}

pub fn open(path: &Path) -> Result<Netns> {
    if !path.is_absolute() {
        return Err(Error::invalid(
            "netns",
            format!("\"{}\" is not an absolute path", path.display()),
        ));
    }
    // O_NONBLOCK: opening a FIFO that someone passed by mistake must not hang the worker.
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(|error| with_path(error, path))?;
    if !is_nsfs(file.as_fd())? {
        return Err(Error::invalid(
            "netns",
            format!("\"{}\" is not a namespace", path.display()),
        ));
    }
    Ok(Arc::new(file.into()))
}

fn with_path(error: io::Error, path: &Path) -> Error {
    let error = match Error::from(error) {
        // The process died between the look-up of its directory and of its namespace: ESRCH, or EACCES once it is
        // reaped, whoever asks.
        error if error.is(Errno::ESRCH) => Errno::ENOENT.into(),
        error if error.is(Errno::EACCES) && has_no_parent(path) => Errno::ENOENT.into(),
        error => error,
    };
    Error {
        message: format!("{}: {}", path.display(), error.message),
        ..error
    }
}

fn has_no_parent(path: &Path) -> bool {
    path.parent()
        .is_some_and(|parent| matches!(parent.try_exists(), Ok(false)))
}

pub fn is_nsfs(fd: BorrowedFd) -> Result<bool> {
    Ok(fstatfs(fd)?.filesystem_type() == NSFS_MAGIC)
}

/// Device and inode.
pub fn key(fd: BorrowedFd) -> Result<(u64, u64)> {
    let stat = fstat(fd)?;
    Ok((stat.st_dev, stat.st_ino))
}

pub fn enter(netns: &Netns) -> Result<()> {
    setns(netns, CloneFlags::CLONE_NEWNET).map_err(|errno| match errno {
        Errno::EINVAL => Error::invalid("netns", "not a network namespace"),
        errno => errno.into(),
    })
}

/// Where a thread belongs. It may work elsewhere for the length of a closure.
pub struct Home {
    netns: Netns,
    lost: Cell<bool>,
}

impl Home {
    /// Moves the calling thread, which must be one of ours, to its home.
    pub fn settle(netns: Netns) -> Result<Self> {
        enter(&netns)?;
        Ok(Self {
            netns,
            lost: Cell::new(false),
        })
    }

    /// The thread could not come back and must not be used any more.
    pub fn is_lost(&self) -> bool {
        self.lost.get()
    }

    #[cfg(test)]
    pub fn strand(&self) {
        self.lost.set(true);
    }

    /// Runs `work` inside `netns` and comes back, also when it fails or panics.
    pub fn visit<T>(&self, netns: &Netns, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let _return = Return(self);
        enter(netns)?;
        work()
    }
}

struct Return<'a>(&'a Home);

impl Drop for Return<'_> {
    fn drop(&mut self) {
        if enter(&self.0.netns).is_err() {
            self.0.lost.set(true);
        }
    }
}
