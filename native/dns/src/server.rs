//! The server: its threads, and what they share.

use std::{
    net::SocketAddr,
    os::fd::AsFd,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{Builder, JoinHandle},
};

use nix::sys::eventfd::{EfdFlags, EventFd};
use weave_kernel::Result;

use crate::{
    answer::Transport,
    batch,
    listen::{Listen, open},
    name::{key, qualify},
    record::{Changes, address},
    scope::Scope,
    stats::{Counts, Stats},
    table::{self, Table},
    tcp, udp,
    waiting::{Waiting, Way},
    zone::Zone,
};

pub struct Settings {
    pub listen: Vec<Listen>,
    pub domain: String,
    /// Seconds.
    pub ttl: u32,
    pub local_first: bool,
}

/// A question for somebody else.
pub struct Question {
    pub id: u64,
    pub packet: Vec<u8>,
    pub source: SocketAddr,
    pub tcp: bool,
}

pub type Ask = Box<dyn Fn(Question) + Send + Sync>;

/// What the threads share.
pub struct Shared {
    pub zone: Zone,
    pub table: RwLock<Table>,
    pub stats: Stats,
    pub waiting: Waiting,
    pub connections: tcp::Count,
    ask: Ask,
    outbox: Mutex<Vec<(u64, Vec<u8>)>>,
    ends: AtomicBool,
}

pub struct Server {
    shared: Arc<Shared>,
    listening: Vec<Listen>,
    threads: Mutex<Vec<Thread>>,
    tcp_wakes: Arc<EventFd>,
}

struct Thread {
    handle: JoinHandle<()>,
    wakes: Arc<EventFd>,
}

impl Server {
    /// Opens every address, then answers. `ask` is called with what is not ours, from the threads that answer: it must
    /// not wait.
    ///
    /// # Errors
    /// EINVAL for a domain that is none, EADDRINUSE and what else sockets and namespaces may say.
    pub fn start(settings: &Settings, ask: Ask) -> Result<Self> {
        let zone = Zone::new(&settings.domain, settings.ttl, settings.local_first)?;
        let sockets = settings
            .listen
            .iter()
            .map(open)
            .collect::<Result<Vec<_>>>()?;
        let shared = Arc::new(Shared {
            zone,
            table: RwLock::default(),
            stats: Stats::default(),
            waiting: Waiting::default(),
            connections: tcp::Count::default(),
            ask,
            outbox: Mutex::default(),
            ends: AtomicBool::new(false),
        });
        let mut listening = vec![];
        let (mut datagrams, mut listeners) = (vec![], vec![]);
        for opened in sockets {
            listening.push(opened.at);
            datagrams.extend(opened.udp.into_iter().map(Arc::new));
            listeners.push(opened.tcp);
        }
        let udp_wakes = wakes()?;
        let tcp_wakes = wakes()?;
        let for_udp = udp::Loop::new(shared.clone(), datagrams, udp_wakes.clone())?;
        let for_tcp = tcp::Loop::new(shared.clone(), listeners, tcp_wakes.clone())?;
        let threads = vec![
            spawn("weave-dns-udp", udp_wakes, move || for_udp.run())?,
            spawn("weave-dns-tcp", tcp_wakes.clone(), move || for_tcp.run())?,
        ];
        Ok(Self {
            shared,
            listening,
            threads: Mutex::new(threads),
            tcp_wakes,
        })
    }

    /// With the ports that were had.
    #[must_use]
    pub fn listening(&self) -> &[Listen] {
        &self.listening
    }

    /// All of it or, if any of it is at fault, nothing; nobody is answered from in between.
    ///
    /// # Errors
    /// EINVAL, with what is no name of the domain, no address or no subnet.
    pub fn update(&self, changes: Changes) -> Result<()> {
        let checked = changes.check(&self.shared.zone.domain)?;
        table::update(&self.shared.table, checked);
        Ok(())
    }

    /// What `asker`, or one who sees all, would be told.
    ///
    /// # Errors
    /// EINVAL for what is no name of the domain or no address.
    pub fn lookup(&self, name: &str, asker: Option<&str>) -> Result<Vec<String>> {
        let name = qualify("name", name, &self.shared.zone.domain)?;
        let asker = asker.map(address).transpose()?;
        let table = table::read(&self.shared.table);
        let scope = asker.map_or(Scope::ALL, |asker| table.scopes.of(asker));
        let entries = table.get(&key(&name), scope).into_iter().flatten();
        let mut addresses: Vec<_> = entries.flat_map(|entry| &entry.addresses).collect();
        addresses.sort_unstable();
        addresses.dedup();
        Ok(addresses.into_iter().map(ToString::to_string).collect())
    }

    /// The answer to a question for somebody else, as it goes out; none for silence. A second one goes nowhere.
    pub fn answer(&self, id: u64, packet: Option<Vec<u8>>) {
        let (Some(way), Some(mut packet)) = (self.shared.waiting.take(id), packet) else {
            return;
        };
        match way {
            Way::Udp(socket, mut path) => {
                if batch::send(socket.as_fd(), &mut path, &mut packet).is_err() {
                    self.shared.stats.drop(1);
                }
            }
            Way::Tcp(connection) => {
                self.shared.outbox().push((connection, packet));
                let _ = self.tcp_wakes.write(1);
            }
        }
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        let table = table::read(&self.shared.table);
        Counts {
            names: table.len() as u64,
            tcp_connections: self.shared.connections.get(),
            ..self.shared.stats.counts()
        }
    }

    /// The addresses are free again when it returns.
    pub fn close(&self) {
        self.shared.ends.store(true, Relaxed);
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.wakes.write(1);
            let _ = thread.handle.join();
        }
        self.shared.waiting.clear();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    pub fn ends(&self) -> bool {
        self.ends.load(Relaxed)
    }

    pub fn outbox(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Vec<u8>)>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a question to whoever answers the rest; false when there is no room for it.
    pub fn forward(
        &self,
        packet: &[u8],
        source: SocketAddr,
        transport: Transport,
        way: impl FnOnce() -> Way,
    ) -> bool {
        let Some(id) = self.waiting.add(source.ip(), way) else {
            self.stats.drop(1);
            return false;
        };
        (self.ask)(Question {
            id,
            packet: packet.to_vec(),
            source,
            tcp: transport == Transport::Tcp,
        });
        true
    }
}

fn wakes() -> Result<Arc<EventFd>> {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    Ok(Arc::new(EventFd::from_value_and_flags(0, flags)?))
}

fn spawn(name: &str, wakes: Arc<EventFd>, work: impl FnOnce() + Send + 'static) -> Result<Thread> {
    let handle = Builder::new().name(name.to_owned()).spawn(work)?;
    Ok(Thread { handle, wakes })
}
