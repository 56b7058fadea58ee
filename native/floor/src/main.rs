//! What the kernel alone takes for an attach, and how long a rival's command takes: the references of the benchmarks.
//! Reads one command a line and answers each with the microseconds it took:
//!
//! - `attach NUMBER NETNS QUEUES`: a veth from a bridge of its own into NETNS, up, with two addresses and a default
//!   route; each end with so many queues, or as many as the kernel likes where that is 0
//! - `detach NUMBER`: deletes that veth
//! - `run FILE KEY=VALUE… -- COMMAND…`: a process with FILE for its standard input, from fork to exit

mod message;

use std::{
    error::Error,
    fs::File,
    io::{self, BufRead, Write},
    os::fd::{AsRawFd, OwnedFd},
    process::{Command, Stdio},
    time::Instant,
};

use message::{
    Attributes, CHANGE, CREATE, IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND,
    IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU, IFLA_NET_NS_FD, IFLA_NUM_RX_QUEUES, IFLA_NUM_TX_QUEUES,
    Send, VETH_INFO_PEER, ifaddr, ifinfo, rtmsg,
};
use nix::{
    errno::Errno,
    libc::{RTM_DELLINK, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE},
    net::if_::if_nametoindex,
    sched::{CloneFlags, setns, unshare},
    sys::socket::{self, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType},
};

type Outcome<T> = Result<T, Box<dyn Error>>;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const MTU: [u8; 4] = 1450_u32.to_ne_bytes();
const NLMSG_ERROR: u16 = 2;

fn main() -> Outcome<()> {
    let outside = File::open("/proc/self/ns/net")?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    let inside = File::open("/proc/self/ns/net")?;
    let socket = route_socket()?;
    let bridge = add_bridge(&socket)?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let started = Instant::now();
        match words.as_slice() {
            ["attach", number, netns, queues] => {
                let pair = (number.parse()?, queues.parse()?);
                attach(&socket, bridge, pair, &File::open(netns)?)?;
                setns(&inside, CloneFlags::CLONE_NEWNET)?;
            }
            ["detach", number] => delete(&socket, &port(number.parse()?))?,
            ["run", input, rest @ ..] => {
                setns(&outside, CloneFlags::CLONE_NEWNET)?;
                run(input, rest)?;
                setns(&inside, CloneFlags::CLONE_NEWNET)?;
            }
            _ => return Err(format!("cannot {line}").into()),
        }
        writeln!(io::stdout(), "{}", started.elapsed().as_nanos() / 1000)?;
    }
    Ok(())
}

/// The two sends that no attach can do without.
fn attach(
    socket: &OwnedFd,
    bridge: u32,
    (number, queues): (u16, u32),
    netns: &File,
) -> Outcome<()> {
    let [high, low] = number.to_be_bytes();
    let mut send = Send::default();
    {
        let mut veth = send.request(RTM_NEWLINK, CREATE, &ifinfo(0, true));
        veth.put(IFLA_IFNAME, port(number).as_bytes())
            .put(IFLA_MASTER, &bridge.to_ne_bytes())
            .put(IFLA_MTU, &MTU);
        put_queues(&mut veth, queues);
        let mut info = veth.nest(IFLA_LINKINFO);
        info.put(IFLA_INFO_KIND, b"veth");
        let mut data = info.nest(IFLA_INFO_DATA);
        let mut peer = data.nest(VETH_INFO_PEER);
        peer.raw(&ifinfo(0, false))
            .put(IFLA_IFNAME, b"eth0\0")
            .put(IFLA_NET_NS_FD, &netns.as_raw_fd().to_ne_bytes())
            .put(IFLA_ADDRESS, &[2, 0, 10, 0, high, low])
            .put(IFLA_MTU, &MTU);
        put_queues(&mut peer, queues);
    }
    transact(socket, &send)?;
    setns(netns, CloneFlags::CLONE_NEWNET)?;
    configure([high, low])
}

fn put_queues(end: &mut Attributes, queues: u32) {
    if queues > 0 {
        end.put(IFLA_NUM_TX_QUEUES, &queues.to_ne_bytes())
            .put(IFLA_NUM_RX_QUEUES, &queues.to_ne_bytes());
    }
}

fn configure([high, low]: [u8; 2]) -> Outcome<()> {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    const IFA_FLAGS: u16 = 8;
    const RTA_OIF: u16 = 4;
    const RTA_GATEWAY: u16 = 5;
    let socket = route_socket()?;
    let index = if_nametoindex("eth0")?;
    let mut send = Send::default();
    send.request(RTM_NEWLINK, CHANGE, &ifinfo(index, true));
    let v4 = [10, 64, high, low];
    send.request(RTM_NEWADDR, CREATE, &ifaddr(AF_INET, 12, index))
        .put(IFA_LOCAL, &v4)
        .put(IFA_ADDRESS, &v4);
    let v6 = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, high, low];
    send.request(RTM_NEWADDR, CREATE, &ifaddr(AF_INET6, 64, index))
        .put(IFA_LOCAL, &v6)
        .put(IFA_ADDRESS, &v6)
        .put(IFA_FLAGS, &2_u32.to_ne_bytes()); // IFA_F_NODAD
    send.request(RTM_NEWROUTE, CREATE, &rtmsg(AF_INET))
        .put(RTA_GATEWAY, &[10, 64, 255, 254])
        .put(RTA_OIF, &index.to_ne_bytes());
    transact(&socket, &send)
}

fn add_bridge(socket: &OwnedFd) -> Outcome<u32> {
    let mut send = Send::default();
    send.request(RTM_NEWLINK, CREATE, &ifinfo(0, true))
        .put(IFLA_IFNAME, b"br0\0")
        .nest(IFLA_LINKINFO)
        .put(IFLA_INFO_KIND, b"bridge");
    transact(socket, &send)?;
    Ok(if_nametoindex("br0")?)
}

fn delete(socket: &OwnedFd, name: &str) -> Outcome<()> {
    let mut send = Send::default();
    send.request(RTM_DELLINK, CHANGE, &ifinfo(0, false))
        .put(IFLA_IFNAME, name.as_bytes());
    transact(socket, &send)
}

fn port(number: u16) -> String {
    format!("v{number}\0")
}

fn route_socket() -> Outcome<OwnedFd> {
    let socket = socket::socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    socket::bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    Ok(socket)
}

/// One send, and an acknowledgement for each request in it.
fn transact(socket: &OwnedFd, send: &Send) -> Outcome<()> {
    socket::send(socket.as_raw_fd(), &send.bytes, MsgFlags::empty())?;
    let mut buffer = [0; 8192];
    for _ in 0..send.requests {
        let length = socket::recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        let [_, _, _, _, low, high, ..] = buffer;
        let errno = i32::from_ne_bytes(buffer[16..20].try_into()?);
        if length < 20 || u16::from_ne_bytes([low, high]) != NLMSG_ERROR || errno != 0 {
            return Err(Errno::from_raw(errno.abs()).into());
        }
    }
    Ok(())
}

fn run(input: &str, words: &[&str]) -> Outcome<()> {
    let mut words = words.iter();
    let environment: Vec<_> = words
        .by_ref()
        .take_while(|word| **word != "--")
        .filter_map(|word| word.split_once('='))
        .collect();
    let program = words.next().ok_or("no command")?;
    let output = Command::new(program)
        .args(words)
        .envs(environment)
        .stdin(File::open(input)?)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{program}: {}", String::from_utf8_lossy(&said)).into())
}
