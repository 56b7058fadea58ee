//! Many packets with one call.

// Lengths of our own buffers: all are far below 2³².
#![allow(clippy::cast_possible_truncation)]

use std::{
    io,
    mem::zeroed,
    net::SocketAddr,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::null_mut,
};

use nix::libc::{self, iovec, mmsghdr, msghdr, sockaddr_storage};
use socket2::{SockAddr, SockAddrStorage};

/// As many as come with one call.
pub const BATCH: usize = 64;
/// No question is longer.
const LONGEST: usize = 4096;

/// Where a packet came from, and where it came to: an answer goes the same way back.
#[derive(Clone)]
pub struct Path {
    source: sockaddr_storage,
    source_length: u32,
    control: [u64; 6],
    control_length: usize,
}

pub struct Batch {
    packets: Box<[[u8; LONGEST]]>,
    paths: Box<[Path]>,
    lengths: [usize; BATCH],
}

const NOWHERE: Path = Path {
    // SAFETY: all zeroes is an address of no family.
    source: unsafe { zeroed() },
    source_length: 0,
    control: [0; 6],
    control_length: 0,
};

impl Path {
    /// None for what is no address that can be answered.
    pub fn source(&self) -> Option<SocketAddr> {
        let mut storage = SockAddrStorage::zeroed();
        // SAFETY: it is a sockaddr_storage; the kernel wrote this one and its length.
        let source = unsafe {
            *storage.view_as() = self.source;
            SockAddr::new(storage, self.source_length)
        };
        source.as_socket().filter(|source| source.port() != 0)
    }

    fn header(&mut self, content: &mut iovec) -> mmsghdr {
        // SAFETY: all zeroes is an empty header.
        let mut header: msghdr = unsafe { zeroed() };
        header.msg_name = (&raw mut self.source).cast();
        header.msg_namelen = self.source_length;
        header.msg_control = self.control.as_mut_ptr().cast();
        header.msg_controllen = self.control_length;
        header.msg_iov = content;
        header.msg_iovlen = 1;
        mmsghdr {
            msg_hdr: header,
            msg_len: 0,
        }
    }
}

impl Batch {
    pub fn new() -> Self {
        Self {
            packets: vec![[0; LONGEST]; BATCH].into(),
            paths: vec![NOWHERE; BATCH].into(),
            lengths: [0; BATCH],
        }
    }

    /// How many packets were waiting, up to [`BATCH`]; none is no error.
    pub fn receive(&mut self, socket: BorrowedFd) -> io::Result<usize> {
        let mut contents = [EMPTY; BATCH];
        let mut headers = [UNUSED; BATCH];
        for at in 0..BATCH {
            let path = &mut self.paths[at];
            path.source_length = size_of::<sockaddr_storage>() as u32;
            path.control_length = size_of_val(&path.control);
            contents[at] = content(&mut self.packets[at]);
            headers[at] = path.header(&mut contents[at]);
        }
        // SAFETY: each header leads to buffers of ours that live longer than the call, with their lengths.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_DONTWAIT,
                null_mut(),
            )
        };
        let Ok(received) = usize::try_from(received) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                _ => Err(error),
            };
        };
        for (at, header) in headers[..received].iter().enumerate() {
            self.paths[at].source_length = header.msg_hdr.msg_namelen;
            self.paths[at].control_length = header.msg_hdr.msg_controllen;
            let is_whole = header.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
            self.lengths[at] = if is_whole { header.msg_len as usize } else { 0 };
        }
        Ok(received)
    }

    pub fn packet(&self, at: usize) -> &[u8] {
        &self.packets[at][..self.lengths[at]]
    }

    pub fn path(&self, at: usize) -> &Path {
        &self.paths[at]
    }

    /// Sends `answers`, each to where the packet of its number came from. What cannot be sent is not: how many those were.
    pub fn send(&mut self, socket: BorrowedFd, answers: &mut [(usize, Vec<u8>)]) -> usize {
        let mut contents = [EMPTY; BATCH];
        let mut headers = [UNUSED; BATCH];
        for (slot, (at, answer)) in answers.iter_mut().enumerate() {
            contents[slot] = content(answer);
            headers[slot] = self.paths[*at].header(&mut contents[slot]);
        }
        let mut next = 0;
        let mut failed = 0;
        while next < answers.len() {
            // SAFETY: each header leads to buffers that live longer than the call, with their lengths.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    headers[next..].as_mut_ptr(),
                    (answers.len() - next) as u32,
                    libc::MSG_DONTWAIT,
                )
            };
            // The first of them is at fault: there is no way to it, or no room.
            let skipped = usize::from(sent <= 0);
            failed += skipped;
            next += usize::try_from(sent).unwrap_or(0) + skipped;
        }
        failed
    }
}

/// Sends one packet back a path.
pub fn send(socket: BorrowedFd, path: &mut Path, packet: &mut [u8]) -> io::Result<()> {
    let mut content = content(packet);
    let header = path.header(&mut content);
    // SAFETY: the header leads to buffers that live longer than the call, with their lengths.
    let sent = unsafe {
        libc::sendmsg(
            socket.as_raw_fd(),
            &raw const header.msg_hdr,
            libc::MSG_DONTWAIT,
        )
    };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

const EMPTY: iovec = iovec {
    iov_base: null_mut(),
    iov_len: 0,
};
// SAFETY: all zeroes is an empty header.
const UNUSED: mmsghdr = unsafe { zeroed() };

fn content(bytes: &mut [u8]) -> iovec {
    iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    }
}
