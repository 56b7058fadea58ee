//! A synchronous rtnetlink socket: sends, matches answers to requests by sequence number, dumps.

use std::{io, os::fd::AsFd};

use netlink_packet_core::{
    ErrorBuffer, NLM_F_ACK_TLVS, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer,
    NlaBuffer, NlasIterator,
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::{
    errno::Errno,
    libc,
    sys::socket::{getsockopt, setsockopt, sockopt},
};

use crate::{
    error::{Error, Result},
    request::Request,
};

/// Larger than any datagram the kernel builds for a dump (32 KiB).
const RECEIVE_BUFFER: usize = 64 * 1024;
/// What keeps changing while it is read, or is too much to be answered, is given up after this many tries.
const TRIES: usize = 5;
/// Size of `struct nlmsghdr`, which is all of the request that a capped ACK repeats.
const HEADER_LEN: usize = 16;
const NLMSGERR_ATTR_MSG: u16 = 1;

#[cfg(test)]
mod tests;

#[cfg(test)]
thread_local! {
    static PANIC_NEXT: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// The answers to the requests of one send, in their order.
pub type Answers = Vec<Result<()>>;
/// Message type and payload.
pub type Message = (u16, Vec<u8>);

pub struct RouteSocket {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl RouteSocket {
    /// Opens a socket in the calling thread's network namespace, to which it then belongs for good.
    pub fn open() -> Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        socket.set_cap_ack(true)?;
        socket.set_ext_ack(true)?;
        // Filters dumps in the kernel, from 4.20 on; whoever dumps with a filter also filters what comes.
        let _ = socket.set_netlink_get_strict_chk(true);
        Ok(Self {
            socket,
            sequence: 0,
            buffer: Vec::with_capacity(RECEIVE_BUFFER),
        })
    }

    /// Sends all requests at once and collects one ACK for each. The outer error is the transport's.
    pub fn transact<'a>(
        &mut self,
        requests: impl IntoIterator<Item = &'a Request>,
    ) -> Result<Answers> {
        let requests: Vec<&Request> = requests.into_iter().collect();
        let mut answers = Answers::with_capacity(requests.len());
        for _ in 0..TRIES {
            let unanswered = requests.get(answers.len()..).unwrap_or_default();
            answers.extend(self.exchange(unanswered)?);
            if answers.len() == requests.len() {
                return Ok(answers);
            }
            // From the first that was not answered on all is asked again: done twice, it is a success.
            self.grow()?;
        }
        Err(Errno::ENOBUFS.into())
    }

    /// The answers to the first requests: to all, unless there was no room for more.
    fn exchange(&mut self, requests: &[&Request]) -> Result<Answers> {
        let first = self.sequence.wrapping_add(1);
        let mut send = Vec::with_capacity(1024);
        for request in requests {
            request.emit(self.next_sequence(), &mut send);
        }
        self.send(&send)?;
        let mut answers = Answers::with_capacity(requests.len());
        let mut lost = false;
        while answers.len() < requests.len() {
            let received = self.receive(|message| {
                let index = message.sequence_number().wrapping_sub(first) as usize;
                if index == answers.len() && message.message_type() == NLMSG_ERROR {
                    answers.push(acknowledgement(message));
                }
            });
            if !has_more(received, &mut lost)? {
                break;
            }
        }
        Ok(answers)
    }

    /// One request, one ACK.
    pub fn change(&mut self, request: &Request) -> Result<()> {
        self.transact([request])?.into_iter().collect()
    }

    /// Reads one object.
    pub fn get(&mut self, request: &Request) -> Result<Vec<u8>> {
        self.retried(|socket| socket.get_once(request))
    }

    fn get_once(&mut self, request: &Request) -> Result<Vec<u8>> {
        let sequence = self.start(request)?;
        let mut answer = None;
        let mut lost = false;
        while answer.is_none() {
            let received = self.receive(|message| {
                if message.sequence_number() == sequence {
                    answer = Some(match message.message_type() {
                        NLMSG_ERROR => acknowledgement(message).map(|()| Vec::new()),
                        _ => Ok(message.payload().to_vec()),
                    });
                }
            });
            if !has_more(received, &mut lost)? {
                break;
            }
        }
        answer.unwrap_or_else(|| Err(Errno::ENOBUFS.into()))
    }

    /// Reads all objects that the request's filter lets through, as one consistent whole.
    pub fn dump(&mut self, request: &Request) -> Result<Vec<Message>> {
        self.retried(|socket| socket.dump_once(request))
    }

    fn retried<T>(&mut self, read: impl Fn(&mut Self) -> Result<T>) -> Result<T> {
        for _ in 0..TRIES {
            match read(self) {
                Err(error) if error.is(Errno::EINTR) => {}
                Err(error) if error.is(Errno::ENOBUFS) => self.grow()?,
                outcome => return outcome,
            }
        }
        Err(Error::new(
            Errno::EINTR,
            format!("what is read kept changing, {TRIES} times"),
        ))
    }

    /// EINTR when the dump is inconsistent (`NLM_F_DUMP_INTR`), ENOBUFS when parts of it were lost.
    fn dump_once(&mut self, request: &Request) -> Result<Vec<Message>> {
        let sequence = self.start(request)?;
        let mut messages = Vec::new();
        let mut spoiled = None;
        let mut ended = None;
        while ended.is_none() {
            let received = self.receive(|message| {
                if message.sequence_number() != sequence {
                    return;
                }
                if message.flags() & NLM_F_DUMP_INTR != 0 {
                    spoiled = Some(Errno::EINTR);
                }
                match message.message_type() {
                    NLMSG_DONE | NLMSG_ERROR => ended = Some(acknowledgement(message)),
                    kind => messages.push((kind, message.payload().to_vec())),
                }
            });
            match received {
                // The rest must still be read: a second dump on this socket would be EBUSY until then.
                Err(error) if error.is(Errno::ENOBUFS) => spoiled = Some(Errno::ENOBUFS),
                Err(error) if spoiled.is_some() && error.is(Errno::EAGAIN) => break,
                other => other?,
            }
        }
        match spoiled {
            Some(errno) => Err(errno.into()),
            None => ended.unwrap_or(Ok(())).map(|()| messages),
        }
    }

    fn start(&mut self, request: &Request) -> Result<u32> {
        let sequence = self.next_sequence();
        let mut send = Vec::with_capacity(256);
        request.emit(sequence, &mut send);
        self.send(&send)?;
        Ok(sequence)
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// Has the next send on this thread panic.
    #[cfg(test)]
    pub fn panic_next_on_this_thread() {
        PANIC_NEXT.set(true);
    }

    fn send(&self, bytes: &[u8]) -> Result<()> {
        #[cfg(test)]
        assert!(!PANIC_NEXT.replace(false), "on purpose");
        loop {
            match self.socket.send(bytes, 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return Ok(outcome.map(drop)?),
            }
        }
    }

    /// Reads one datagram. Never waits: rtnetlink has answered by the time sendmsg returns, so that
    /// EAGAIN means that an answer was lost.
    fn receive(&mut self, mut each: impl FnMut(&NetlinkBuffer<&[u8]>)) -> Result<()> {
        self.buffer.clear();
        let length = self
            .socket
            .recv(&mut self.buffer, libc::MSG_DONTWAIT | libc::MSG_TRUNC)?;
        if length > self.buffer.len() {
            return Err(Errno::EMSGSIZE.into());
        }
        let mut rest = self.buffer.as_slice();
        while let Ok(message) = NetlinkBuffer::new_checked(rest) {
            let length = message.length() as usize;
            each(&message);
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(())
    }

    fn grow(&self) -> Result<()> {
        let size = getsockopt(&self.socket.as_fd(), sockopt::RcvBuf)?;
        Ok(setsockopt(
            &self.socket.as_fd(),
            sockopt::RcvBufForce,
            &(size * 4),
        )?)
    }
}

/// Where something was lost, the rest must be read to its end: until then the kernel lets nothing new in.
fn has_more(received: Result<()>, lost: &mut bool) -> Result<bool> {
    match received {
        Err(error) if error.is(Errno::ENOBUFS) => {
            *lost = true;
            Ok(true)
        }
        Err(error) if *lost && error.is(Errno::EAGAIN) => Ok(false),
        received => received.map(|()| true),
    }
}

/// The outcome in an NLMSG_ERROR or NLMSG_DONE, in the kernel's own words where it has some.
fn acknowledgement(message: &NetlinkBuffer<&[u8]>) -> Result<()> {
    let payload = message.payload();
    let Some(code) = ErrorBuffer::new_checked(payload)
        .ok()
        .and_then(|buffer| buffer.code())
    else {
        return Ok(());
    };
    let errno = Errno::from_raw(code.get().saturating_abs());
    let words_start = match message.message_type() {
        NLMSG_DONE => size_of::<i32>(),
        _ => size_of::<i32>() + HEADER_LEN,
    };
    let words = (message.flags() & NLM_F_ACK_TLVS != 0)
        .then(|| payload.get(words_start..))
        .flatten()
        .and_then(extended_ack);
    Err(match words {
        Some(words) => Error::new(errno, words),
        None => errno.into(),
    })
}

fn extended_ack(attributes: &[u8]) -> Option<String> {
    NlasIterator::new(attributes)
        .flatten()
        .find(|attribute: &NlaBuffer<&[u8]>| attribute.kind() == NLMSGERR_ATTR_MSG)
        .map(|attribute| {
            String::from_utf8_lossy(attribute.value())
                .trim_end_matches('\0')
                .to_owned()
        })
}
