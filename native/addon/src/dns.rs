//! The N-API face of weave-dns.

use napi::{
    bindgen_prelude::Buffer,
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use napi_derive::napi;
use weave_dns::{Changes, Listen, Server, Settings, Transport, relay};

use crate::{CodedError, coded};

/// An address to answer DNS at, over UDP and TCP.
#[napi(object)]
pub struct DnsListen {
    /// `'host'`, or the path of an nsfs file.
    pub netns: String,
    /// IPv4 or IPv6; `0.0.0.0` and `::` for all of the namespace. Needs not be there yet.
    pub address: String,
    /// 0 for any that is free.
    pub port: u16,
}

#[napi(object)]
pub struct DnsSettings {
    pub listen: Vec<DnsListen>,
    pub domain: String,
    /// Seconds.
    pub ttl: u32,
    /// Addresses of this host before others; else they are shuffled.
    pub local_first: bool,
}

/// A question that is not the server's to answer.
#[napi(object)]
pub struct DnsQuestion {
    pub id: i64,
    pub packet: Buffer,
    pub source: String,
    pub tcp: bool,
}

#[napi(object)]
pub struct DnsNetwork {
    pub id: String,
    pub subnets: Vec<String>,
}

#[napi(object)]
pub struct DnsName {
    /// Putting the same again replaces it.
    pub id: String,
    /// One label, or in the domain.
    pub name: String,
    /// Absent: told to everyone.
    pub network: Option<String>,
    pub addresses: Vec<String>,
    pub local: Option<bool>,
    pub ports: Option<Vec<DnsPort>>,
}

#[napi(object)]
pub struct DnsPort {
    pub port: u16,
    pub protocol: String,
    pub service: Option<String>,
}

#[napi(object)]
pub struct DnsAsker {
    pub address: String,
    pub networks: Vec<String>,
}

/// First what is gone goes, or everything, then what is put is put.
#[napi(object)]
pub struct DnsChanges {
    pub everything_gone: bool,
    pub networks_gone: Vec<String>,
    pub names_gone: Vec<String>,
    pub askers_gone: Vec<String>,
    pub networks: Vec<DnsNetwork>,
    pub names: Vec<DnsName>,
    pub askers: Vec<DnsAsker>,
}

#[napi(object)]
pub struct DnsCounts {
    pub names: i64,
    pub answered: i64,
    pub truncated: i64,
    pub malformed: i64,
    pub forwarded: i64,
    pub dropped: i64,
    pub tcp_connections: i64,
}

/// Called from the threads that answer; no reason for Node to go on.
type Asked = ThreadsafeFunction<DnsQuestion, (), DnsQuestion, napi::Status, false, true>;

/// Answers DNS questions from names in memory, on threads of its own. It does not keep the process alive.
#[napi]
pub struct DnsServer {
    server: Server,
}

#[napi]
impl DnsServer {
    /// Opens every address, then answers. Calls back with each question that is not its own; it is to be answered by
    /// `answer`. Throws with the errno's name as `code`.
    #[napi(
        factory,
        catch_unwind,
        ts_args_type = "settings: DnsSettings, asked: (question: DnsQuestion) => void"
    )]
    pub fn start(settings: DnsSettings, asked: Asked) -> Result<Self, CodedError> {
        let ask = move |question: weave_dns::Question| {
            asked.call(question.into(), ThreadsafeFunctionCallMode::NonBlocking);
        };
        let listen = settings.listen.iter().map(listen);
        let settings = Settings {
            listen: listen.collect::<weave_kernel::Result<_>>().map_err(coded)?,
            domain: settings.domain,
            ttl: settings.ttl,
            local_first: settings.local_first,
        };
        let server = Server::start(&settings, Box::new(ask)).map_err(coded)?;
        Ok(Self { server })
    }

    /// With the ports that were had.
    #[napi(catch_unwind)]
    pub fn listening(&self) -> Vec<DnsListen> {
        self.server.listening().iter().map(Into::into).collect()
    }

    /// All of it or, if any of it is at fault, nothing; nobody is answered from in between. Throws EINVAL.
    #[napi(catch_unwind)]
    pub fn update(&self, changes: DnsChanges) -> Result<(), CodedError> {
        self.server.update(changes.into()).map_err(coded)
    }

    /// The addresses that `asker`, or one who sees all, would be told.
    #[napi(catch_unwind)]
    pub fn lookup(&self, name: String, asker: Option<String>) -> Result<Vec<String>, CodedError> {
        self.server.lookup(&name, asker.as_deref()).map_err(coded)
    }

    /// Sends the answer to a question that was called back with, as it is; none for silence.
    #[napi(catch_unwind)]
    pub fn answer(&self, id: i64, packet: Option<Buffer>) {
        let packet = packet.map(|packet| packet.to_vec());
        self.server.answer(id.cast_unsigned(), packet);
    }

    #[napi(catch_unwind)]
    pub fn counts(&self) -> DnsCounts {
        self.server.counts().into()
    }

    /// The addresses are free again when it returns.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.server.close();
    }
}

/// A name as `DnsServer` has it, with its final dot; null for what can be no name of the domain.
#[napi(catch_unwind)]
#[must_use]
pub fn dns_qualify(name: String, domain: String) -> Option<String> {
    weave_dns::qualified(&name, &domain)
}

/// A question as it is sent on, its id 0: equal ones have equal answers.
#[napi(catch_unwind)]
#[must_use]
pub fn dns_question(packet: Buffer) -> Option<Buffer> {
    relay::question(&packet).map(Into::into)
}

/// Whether it answers that very question.
#[napi(catch_unwind)]
#[must_use]
pub fn dns_is_answer(question: Buffer, answer: Buffer) -> bool {
    relay::is_answer(&question, &answer)
}

/// For how many seconds an answer may be kept; null for one that may not.
#[napi(catch_unwind)]
#[must_use]
pub fn dns_life(answer: Buffer) -> Option<u32> {
    relay::life(&answer)
}

/// What is said to `packet`, out of an answer that is `age` seconds old.
#[napi(catch_unwind)]
#[must_use]
pub fn dns_reply(packet: Buffer, answer: Buffer, age: u32, tcp: bool) -> Option<Buffer> {
    let transport = if tcp { Transport::Tcp } else { Transport::Udp };
    relay::reply(&packet, &answer, age, transport).map(Into::into)
}

/// What is said to a question that cannot be answered.
#[napi(catch_unwind)]
#[must_use]
pub fn dns_failure(packet: Buffer) -> Option<Buffer> {
    relay::failure(&packet).map(Into::into)
}

fn listen(listen: &DnsListen) -> weave_kernel::Result<Listen> {
    Listen::parse(&listen.netns, &listen.address, listen.port)
}

impl From<&Listen> for DnsListen {
    fn from(listen: &Listen) -> Self {
        Self {
            netns: listen.netns.clone(),
            address: listen.address.ip().to_string(),
            port: listen.address.port(),
        }
    }
}

impl From<weave_dns::Question> for DnsQuestion {
    fn from(question: weave_dns::Question) -> Self {
        Self {
            id: question.id.cast_signed(),
            packet: question.packet.into(),
            source: question.source.ip().to_string(),
            tcp: question.tcp,
        }
    }
}

impl From<DnsChanges> for Changes {
    fn from(changes: DnsChanges) -> Self {
        Self {
            everything_gone: changes.everything_gone,
            networks_gone: changes.networks_gone,
            names_gone: changes.names_gone,
            askers_gone: changes.askers_gone,
            networks: changes.networks.into_iter().map(Into::into).collect(),
            names: changes.names.into_iter().map(Into::into).collect(),
            askers: changes.askers.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<DnsNetwork> for weave_dns::NetworkRecord {
    fn from(network: DnsNetwork) -> Self {
        let DnsNetwork { id, subnets } = network;
        Self { id, subnets }
    }
}

impl From<DnsName> for weave_dns::NameRecord {
    fn from(name: DnsName) -> Self {
        let ports = name.ports.unwrap_or_default();
        Self {
            id: name.id,
            name: name.name,
            network: name.network,
            addresses: name.addresses,
            local: name.local.unwrap_or(false),
            ports: ports.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<DnsPort> for weave_dns::Port {
    fn from(port: DnsPort) -> Self {
        Self {
            port: port.port,
            protocol: port.protocol,
            service: port.service,
        }
    }
}

impl From<DnsAsker> for weave_dns::AskerRecord {
    fn from(asker: DnsAsker) -> Self {
        let DnsAsker { address, networks } = asker;
        Self { address, networks }
    }
}

impl From<weave_dns::Counts> for DnsCounts {
    fn from(counts: weave_dns::Counts) -> Self {
        Self {
            names: counts.names.cast_signed(),
            answered: counts.answered.cast_signed(),
            truncated: counts.truncated.cast_signed(),
            malformed: counts.malformed.cast_signed(),
            forwarded: counts.forwarded.cast_signed(),
            dropped: counts.dropped.cast_signed(),
            tcp_connections: counts.tcp_connections.cast_signed(),
        }
    }
}
