//! The server on real sockets, in a namespace of each test's own.

// A test may panic, also in its helpers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    io::{Read, Write},
    net::{IpAddr, Shutdown, SocketAddr, TcpStream, UdpSocket},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

use nix::sched::{CloneFlags, unshare};
use weave_dns::{Changes, Listen, NameRecord, Question, Server, Settings};

/// `web.weave.local A`, and `example.com A`.
const WEB: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03web\x05weave\x05local\0\0\x01\0\x01";
const ELSEWHERE: &[u8] = b"\x12\x35\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01";
const PATIENCE: Duration = Duration::from_secs(5);

/// The test's thread and those that it starts are in a namespace of their own.
fn namespace() {
    unshare(CloneFlags::CLONE_NEWNET).expect("these tests need root");
    ip("link set lo up");
}

fn ip(words: &str) {
    let status = Command::new("ip").args(words.split(' ')).status().unwrap();
    assert!(status.success(), "ip {words}");
}

fn shown(words: &str) -> String {
    let output = Command::new("ip").args(words.split(' ')).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn start(addresses: &[&str]) -> (Server, Receiver<Question>) {
    let (sender, asked) = channel();
    let sender = Mutex::new(sender);
    let here = "/proc/thread-self/ns/net";
    let listen = addresses
        .iter()
        .map(|ip| Listen::parse(here, ip, 0).unwrap());
    let settings = Settings {
        listen: listen.collect(),
        domain: "weave.local".to_owned(),
        ttl: 1,
        local_first: false,
    };
    let ask = move |question| {
        let _ = sender.lock().unwrap().send(question);
    };
    let server = Server::start(&settings, Box::new(ask)).unwrap();
    let web = NameRecord {
        id: "web".to_owned(),
        name: "web".to_owned(),
        addresses: vec!["10.32.0.1".to_owned()],
        ..NameRecord::default()
    };
    let changes = Changes {
        names: vec![web],
        ..Changes::default()
    };
    server.update(changes).unwrap();
    (server, asked)
}

/// Asks from one address, of another; none when nobody answers.
fn ask(from: &str, to: &str, port: u16, packet: &[u8]) -> Option<Vec<u8>> {
    let [from, to]: [IpAddr; 2] = [from, to].map(|text| text.parse().unwrap());
    let socket = UdpSocket::bind((from, 0)).unwrap();
    // Connected: what comes from another address is not heard.
    socket.connect((to, port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send(packet).unwrap();
    let mut answer = [0; 4096];
    let length = socket.recv(&mut answer).ok()?;
    Some(answer[..length].to_vec())
}

fn is_web(answer: &[u8]) -> bool {
    answer[..2] == WEB[..2] && answer.ends_with(&[10, 32, 0, 1])
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.listening()[0].address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn framed(packet: &[u8]) -> Vec<u8> {
    let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
    [&length, packet].concat()
}

fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut packet = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut packet).unwrap();
    packet
}

#[test]
fn a_wildcard_answers_from_the_address_that_was_asked() {
    namespace();
    let (server, _asked) = start(&["0.0.0.0", "::"]);
    for address in [
        "10.9.0.1/24",
        "10.9.0.2/24",
        "fd00:9::1/64 nodad",
        "fd00:9::2/64 nodad",
    ] {
        ip(&format!("addr add dev lo {address}"));
    }
    let [v4, v6] = [0, 1].map(|at| server.listening()[at].address.port());
    for (from, to, port) in [
        ("10.9.0.1", "10.9.0.2", v4),
        ("10.9.0.2", "10.9.0.1", v4),
        ("fd00:9::1", "fd00:9::2", v6),
        ("fd00:9::2", "fd00:9::1", v6),
    ] {
        assert!(is_web(&ask(from, to, port, WEB).unwrap()), "{from} {to}");
    }
}

#[test]
fn an_address_may_be_given_to_a_link_later() {
    namespace();
    let (server, _asked) = start(&["10.9.9.9", "fd00:9::9"]);
    ip("addr add 10.9.9.9/32 dev lo");
    ip("addr add fd00:9::9/128 dev lo nodad");
    // Until a workqueue (`addrconf_wq`) has inserted it into the table of local routes, what is sent there is forwarded.
    while !shown("route get fd00:9::9").starts_with("local ") {
        thread::sleep(Duration::from_millis(1));
    }
    for listen in server.listening() {
        let to = listen.address.ip().to_string();
        assert!(
            is_web(&ask(&to, &to, listen.address.port(), WEB).unwrap()),
            "{to}"
        );
    }
}

#[test]
fn a_question_for_others_is_handed_over_and_its_answer_goes_back() {
    namespace();
    let (server, asked) = start(&["127.0.0.1"]);
    let server = Arc::new(server);
    let answering = server.clone();
    let said = thread::spawn(move || {
        for question in asked.iter().take(2) {
            assert_eq!(question.packet, ELSEWHERE);
            assert!(question.source.ip().is_loopback());
            let what = if question.tcp {
                b"over TCP"
            } else {
                b"over UDP"
            };
            answering.answer(question.id, Some(what.to_vec()));
            // Only the first one counts.
            answering.answer(question.id, Some(b"again".to_vec()));
        }
    });
    let port = server.listening()[0].address.port();
    assert_eq!(
        ask("127.0.0.2", "127.0.0.1", port, ELSEWHERE).unwrap(),
        b"over UDP"
    );
    let mut stream = connect(&server);
    stream.write_all(&framed(ELSEWHERE)).unwrap();
    // What is answered at once does not wait for it.
    stream.write_all(&framed(WEB)).unwrap();
    let mut answers = [read_frame(&mut stream), read_frame(&mut stream)];
    answers.sort();
    assert!(answers[0] == b"over TCP" || answers[1] == b"over TCP");
    assert!(answers.iter().any(|answer| is_web(answer)));
    said.join().unwrap();
}

#[test]
fn tcp_in_pieces_several_at_once_and_until_the_asker_has_no_more_to_say() {
    namespace();
    let (server, _asked) = start(&["127.0.0.1"]);
    let mut stream = connect(&server);
    for byte in framed(WEB) {
        stream.write_all(&[byte]).unwrap();
    }
    assert!(is_web(&read_frame(&mut stream)));
    stream.write_all(&framed(WEB).repeat(100)).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    for _ in 0..100 {
        assert!(is_web(&read_frame(&mut stream)));
    }
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "then it hangs up");
}

#[test]
fn who_sends_over_tcp_what_is_no_question_is_hung_up_on() {
    namespace();
    let (server, _asked) = start(&["127.0.0.1"]);
    let mut answer = WEB.to_vec();
    answer[2] |= 0x80;
    for packet in [&answer[..], b"x", b""] {
        let mut stream = connect(&server);
        stream.write_all(&framed(packet)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn one_asker_has_so_many_connections_that_others_have_some_too() {
    namespace();
    let (server, _asked) = start(&["127.0.0.1"]);
    let mut streams: Vec<_> = (0..40).map(|_| connect(&server)).collect();
    let answered = streams.iter_mut().filter_map(|stream| {
        stream.write_all(&framed(WEB)).ok()?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()
    });
    assert_eq!(answered.count(), 32);
    assert_eq!(server.counts().tcp_connections, 32);
}

#[test]
fn one_who_takes_no_answers_is_not_read_from_and_others_are_answered() {
    namespace();
    let (server, _asked) = start(&["127.0.0.1"]);
    let mut greedy = connect(&server);
    greedy
        .set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let many = framed(WEB).repeat(1000);
    let mut sent = 0;
    while sent < 256 << 20 && greedy.write_all(&many).is_ok() {
        sent += many.len();
    }
    assert!(sent < 64 << 20, "{sent} bytes were read");
    let mut other = connect(&server);
    other.write_all(&framed(WEB)).unwrap();
    assert!(is_web(&read_frame(&mut other)));
}

/// Sends without a pause, from many ports of one address, until told to stop.
fn flood(from: &'static str, to: SocketAddr, stop: &Arc<AtomicBool>) -> thread::JoinHandle<u64> {
    let stop = stop.clone();
    thread::spawn(move || {
        let sockets: Vec<_> = (0..32)
            .map(|_| UdpSocket::bind((from, 0)).unwrap())
            .collect();
        let mut sent = 0;
        while !stop.load(Relaxed) {
            for socket in &sockets {
                sent += u64::from(socket.send_to(WEB, to).is_ok());
            }
        }
        sent
    })
}

#[test]
fn a_flood_of_one_asker_leaves_the_others_theirs() {
    const OTHERS: u8 = 24;
    const EACH: u8 = 20;
    namespace();
    let (server, _asked) = start(&["127.0.0.1"]);
    let to = server.listening()[0].address;
    let stop = Arc::new(AtomicBool::new(false));
    let floods = [flood("127.0.1.1", to, &stop), flood("127.0.1.1", to, &stop)];
    thread::sleep(Duration::from_millis(300));
    // Two in all may be in the flood's queue, with one in 32 of them to be expected there.
    let unharmed = (1..=OTHERS).filter(|other| {
        let socket = UdpSocket::bind((format!("127.0.2.{other}"), 0)).unwrap();
        socket.connect(to).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(2)))
            .unwrap();
        (0..EACH).all(|_| {
            socket.send(WEB).unwrap();
            socket.recv(&mut [0; 512]).is_ok()
        })
    });
    let unharmed = unharmed.count();
    stop.store(true, Relaxed);
    let sent: u64 = floods.into_iter().map(|flood| flood.join().unwrap()).sum();
    assert!(sent > 10_000, "that was no flood: {sent}");
    assert!(
        unharmed >= usize::from(OTHERS) - 4,
        "{unharmed} of {OTHERS} unharmed by {sent} packets"
    );
}

#[test]
fn it_ends_at_once_and_leaves_the_port_whatever_is_under_way() {
    namespace();
    let (server, asked) = start(&["127.0.0.1"]);
    let listen = server.listening()[0].clone();
    let _open = connect(&server);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(ELSEWHERE, listen.address).unwrap();
    asked.recv_timeout(PATIENCE).unwrap();
    let begun = Instant::now();
    server.close();
    assert!(begun.elapsed() < PATIENCE);
    let _udp = UdpSocket::bind(listen.address).unwrap();
}

#[test]
fn a_port_that_another_server_has_is_refused() {
    namespace();
    let (server, _asked) = start(&["127.0.0.1"]);
    let settings = Settings {
        listen: server.listening().to_vec(),
        domain: "weave.local".to_owned(),
        ttl: 1,
        local_first: false,
    };
    let again = Server::start(&settings, Box::new(|_| ()));
    assert_eq!(again.err().unwrap().code, "EADDRINUSE");
}
