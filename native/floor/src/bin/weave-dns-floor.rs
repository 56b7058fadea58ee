//! What the kernel alone takes for a DNS answer: every question over UDP gets the same address, without a look at it.
//! `weave-dns-floor PORT` answers at 127.0.0.1 until it is killed.

use std::{env, error::Error, io, mem::zeroed, net::UdpSocket, os::fd::AsRawFd, ptr::null_mut};

use nix::libc::{MSG_WAITFORONE, iovec, mmsghdr, recvmmsg, sendmmsg, sockaddr_in};

const BATCH: usize = 64;
const LONGEST: usize = 512;
const HEADER: usize = 12;
/// An A record of the question's name: 10.32.0.1, for a second.
const RECORD: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 10, 32, 0, 1];

fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = env::args().nth(1).ok_or("which port?")?.parse()?;
    let socket = UdpSocket::bind(("127.0.0.1", port))?;
    let mut packets = vec![[0_u8; LONGEST]; BATCH];
    // SAFETY: all zeroes is an address of no family, an empty header and an empty buffer.
    let mut sources: [sockaddr_in; BATCH] = unsafe { zeroed() };
    // SAFETY: as above.
    let mut contents: [iovec; BATCH] = unsafe { zeroed() };
    // SAFETY: as above.
    let mut headers: [mmsghdr; BATCH] = unsafe { zeroed() };
    let batch = u32::try_from(BATCH)?;
    loop {
        for at in 0..BATCH {
            contents[at] = iovec {
                iov_base: packets[at].as_mut_ptr().cast(),
                iov_len: LONGEST - RECORD.len(),
            };
            let header = &mut headers[at].msg_hdr;
            header.msg_name = (&raw mut sources[at]).cast();
            header.msg_namelen = u32::try_from(size_of::<sockaddr_in>())?;
            header.msg_iov = &raw mut contents[at];
            header.msg_iovlen = 1;
        }
        // SAFETY: each header leads to buffers that live as long as the loop, with their lengths.
        let received = unsafe {
            recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                batch,
                MSG_WAITFORONE,
                null_mut(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for at in 0..received {
            contents[at].iov_len = answer(&mut packets[at], headers[at].msg_len as usize);
        }
        // SAFETY: as above; what cannot be sent is lost.
        unsafe {
            sendmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                u32::try_from(received)?,
                0,
            )
        };
    }
}

/// The length of the answer, in the place of the question.
fn answer(packet: &mut [u8; LONGEST], length: usize) -> usize {
    let mut end = HEADER;
    while end < length && packet[end] != 0 {
        end += usize::from(packet[end]) + 1;
    }
    end = (end + 5).min(LONGEST - RECORD.len());
    packet[2] = 0x85;
    packet[3] = 0x80;
    packet[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
    packet[end..end + RECORD.len()].copy_from_slice(&RECORD);
    end + RECORD.len()
}
