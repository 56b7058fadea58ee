//! rtnetlink messages byte by byte: nothing between the reference and the kernel.

pub const CREATE: u16 = 0x400 | 0x200; // NLM_F_CREATE | NLM_F_EXCL
pub const CHANGE: u16 = 0;
const REQUEST_WITH_ACK: u16 = 0x1 | 0x4;
const HEADER: usize = 16;

pub const IFLA_ADDRESS: u16 = 1;
pub const IFLA_IFNAME: u16 = 3;
pub const IFLA_MTU: u16 = 4;
pub const IFLA_MASTER: u16 = 10;
pub const IFLA_LINKINFO: u16 = 18;
pub const IFLA_INFO_KIND: u16 = 1;
pub const IFLA_INFO_DATA: u16 = 2;
pub const IFLA_NET_NS_FD: u16 = 28;
pub const IFLA_NUM_TX_QUEUES: u16 = 31;
pub const IFLA_NUM_RX_QUEUES: u16 = 32;
pub const VETH_INFO_PEER: u16 = 1;

/// Requests that go out in one send.
#[derive(Default)]
pub struct Send {
    pub bytes: Vec<u8>,
    pub requests: usize,
}

impl Send {
    pub fn request(&mut self, kind: u16, flags: u16, body: &[u8]) -> Attributes<'_> {
        let start = self.bytes.len();
        self.requests += 1;
        self.bytes.extend([0; 4]);
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((REQUEST_WITH_ACK | flags).to_ne_bytes());
        self.bytes.extend([0; 8]);
        self.bytes.extend(body);
        Attributes {
            bytes: &mut self.bytes,
            start,
            aligned: HEADER,
        }
    }
}

/// What is being written: a message (its length 4 bytes long) or a nest (2 bytes), closed when dropped.
pub struct Attributes<'a> {
    bytes: &'a mut Vec<u8>,
    start: usize,
    aligned: usize,
}

impl Attributes<'_> {
    pub fn put(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.nest(kind).bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    pub fn nest(&mut self, kind: u16) -> Attributes<'_> {
        let start = self.bytes.len();
        self.bytes.extend([0; 2]);
        self.bytes.extend(kind.to_ne_bytes());
        Attributes {
            bytes: self.bytes,
            start,
            aligned: 0,
        }
    }

    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend(bytes);
        self
    }
}

impl Drop for Attributes<'_> {
    fn drop(&mut self) {
        let length = self.bytes.len() - self.start;
        let end = self.start + if self.aligned == HEADER { 4 } else { 2 };
        if let Some(field) = self.bytes.get_mut(self.start..end) {
            let length = u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes();
            let wide = field.len();
            field.copy_from_slice(&length[..wide]);
        }
    }
}

/// `struct ifinfomsg`; `up` also says that the flag is meant.
pub fn ifinfo(index: u32, up: bool) -> [u8; 16] {
    let mut body = [0; 16];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8] = u8::from(up);
    body[12] = u8::from(up);
    body
}

/// `struct ifaddrmsg`.
pub fn ifaddr(family: u8, prefix: u8, index: u32) -> [u8; 8] {
    let mut body = [family, prefix, 0, 0, 0, 0, 0, 0];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body
}

/// `struct rtmsg` of a unicast route in the main table.
pub fn rtmsg(family: u8) -> [u8; 12] {
    const MAIN: u8 = 254;
    const BOOT: u8 = 3;
    [family, 0, 0, 0, MAIN, BOOT, 0, 1, 0, 0, 0, 0]
}
