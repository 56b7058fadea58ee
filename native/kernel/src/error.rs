//! One error type: an errno with its name and the kernel's own words, never prose alone.

use std::{fmt, io};

use nix::errno::Errno;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub errno: i32,
    /// The errno's name, `EEXIST`; `EPANIC` for a contained panic.
    pub code: String,
    /// The kernel's extended ACK where it gave one, else what strerror says, else what was wrong with the input.
    pub message: String,
    /// The link at fault where it is not the op's own, such as a taken peer name.
    pub link: Option<String>,
    /// The namespace at fault where it is not the op's own, such as a peer's that is gone.
    pub netns: Option<String>,
}

impl Error {
    pub fn new(errno: Errno, message: impl Into<String>) -> Self {
        Self {
            errno: errno as i32,
            code: format!("{errno:?}"),
            message: message.into(),
            link: None,
            netns: None,
        }
    }

    /// The input is at fault: `field` is named so that the caller can be.
    pub fn invalid(field: &str, reason: impl fmt::Display) -> Self {
        Self::new(Errno::EINVAL, format!("{field}: {reason}"))
    }

    pub fn panicked(message: impl Into<String>) -> Self {
        Self {
            code: "EPANIC".to_owned(),
            ..Self::new(Errno::ENOTRECOVERABLE, message)
        }
    }

    #[must_use]
    pub fn at_link(mut self, link: &str) -> Self {
        self.link = Some(link.to_owned());
        self
    }

    #[must_use]
    pub fn in_netns(mut self, netns: &str) -> Self {
        self.netns = Some(netns.to_owned());
        self
    }

    /// What was asked for may be had later: there are not enough files, or not enough memory.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::ENOBUFS]
            .iter()
            .any(|&errno| self.is(errno))
    }

    #[must_use]
    pub fn is(&self, errno: Errno) -> bool {
        self.errno == errno as i32
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Error {}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::new(errno, errno.desc())
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(raw) => Errno::from_raw(raw).into(),
            None => Self::new(Errno::EIO, error.to_string()),
        }
    }
}
