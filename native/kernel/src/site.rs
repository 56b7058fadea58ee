//! The namespaces that the worker works in: the switch and the host, held for good, and others, visited.

use std::{collections::HashMap, path::Path};

use nix::errno::Errno;

use crate::{
    error::{Error, Result},
    link::Link,
    message::{
        link::{self, Port, Traits},
        nsid,
    },
    netns::{HOST, Home, Netns, SWITCH, open},
    request::Request,
    socket::RouteSocket,
};

/// A namespace with a socket in it.
pub struct Site {
    pub netns: Netns,
    pub socket: RouteSocket,
    known: HashMap<String, Link>,
}

impl Site {
    fn new(netns: Netns, socket: RouteSocket) -> Self {
        Self {
            netns,
            socket,
            known: HashMap::new(),
        }
    }

    pub fn link(&mut self, name: &str) -> Result<Option<Link>> {
        self.fetch(&link::get(name))
    }

    pub fn link_at(&mut self, index: u32) -> Result<Option<Link>> {
        self.fetch(&link::get_index(index))
    }

    fn fetch(&mut self, request: &Request) -> Result<Option<Link>> {
        match self.socket.get(request) {
            Ok(payload) => Link::parse(&payload)
                .map(Some)
                .ok_or_else(|| Errno::EBADMSG.into()),
            Err(error) if error.is(Errno::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A link that must be there, remembered: in the switch until it turns out to be wrong, as nobody else
    /// is to change anything there; elsewhere for the rest of the batch.
    pub fn known(&mut self, name: &str) -> Result<&Link> {
        if !self.known.contains_key(name) {
            let found = self.link(name)?.ok_or_else(|| absent(name))?;
            self.known.insert(name.to_owned(), found);
        }
        self.known.get(name).ok_or_else(|| absent(name))
    }

    pub fn index(&mut self, name: &str) -> Result<u32> {
        self.known(name).map(|link| link.index)
    }

    /// The index behind a master's name; the empty name is no master.
    pub fn master(&mut self, name: Option<&str>) -> Result<Option<u32>> {
        match name {
            None => Ok(None),
            Some("") => Ok(Some(0)),
            Some(name) => self.index(name).map(Some),
        }
    }

    /// To be called wherever a name may come to mean another link, or none, or a link gets another MAC.
    pub fn forget(&mut self, name: &str) {
        self.known.remove(name);
    }

    /// Brings an existing link to what is wanted.
    pub fn adjust(&mut self, link: &Link, wanted: &Traits) -> Result<()> {
        match link.lacks(wanted) {
            Some(lacking) => self.socket.change(&link::set_index(link.index, &lacking)),
            None => Ok(()),
        }
    }

    /// Makes a link that has a bridge the port that is wanted.
    pub fn set_port(&mut self, name: &str, port: Port) -> Result<()> {
        match self.link(name)? {
            Some(link) if link.bridged == port => Ok(()),
            Some(link) => self.socket.change(&link::set_port(link.index, port)),
            None => Err(absent(name)),
        }
    }

    pub fn delete(&mut self, link: &Link) -> Result<()> {
        self.forget(&link.name);
        match self.socket.change(&link::delete_index(link.index)) {
            Err(error) if error.is(Errno::ENODEV) => Ok(()),
            outcome => outcome,
        }
    }

    /// The number under which this namespace knows another; None for itself and for strangers.
    pub fn number_of(&mut self, netns: &Netns) -> Result<Option<i32>> {
        Ok(nsid::parse(&self.socket.get(&nsid::get(netns))?))
    }
}

fn absent(name: &str) -> Error {
    Error::new(Errno::ENODEV, format!("there is no link \"{name}\"")).at_link(name)
}

pub struct Sites {
    home: Home,
    switch: Site,
    host: Site,
    visited: HashMap<String, Site>,
    spoiled: bool,
}

impl Sites {
    /// Settles the calling thread, which must be one of ours, in the host's namespace.
    pub fn open(host: Netns, switch: Netns) -> Result<Self> {
        let home = Home::settle(host.clone())?;
        let host_socket = RouteSocket::open()?;
        let switch_socket = home.visit(&switch, RouteSocket::open)?;
        Ok(Self {
            home,
            switch: Site::new(switch, switch_socket),
            host: Site::new(host, host_socket),
            visited: HashMap::new(),
            spoiled: false,
        })
    }

    pub fn at(&mut self, netns: &str) -> Result<&mut Site> {
        match netns {
            SWITCH => return Ok(&mut self.switch),
            HOST => return Ok(&mut self.host),
            _ => {}
        }
        if !self.visited.contains_key(netns) {
            let site = self.visit(netns).map_err(|error| error.in_netns(netns))?;
            self.visited.insert(netns.to_owned(), site);
        }
        self.visited
            .get_mut(netns)
            .ok_or_else(|| Errno::ENOENT.into())
    }

    fn visit(&self, netns: &str) -> Result<Site> {
        let netns = open(Path::new(netns))?;
        let socket = self.home.visit(&netns, RouteSocket::open)?;
        Ok(Site::new(netns, socket))
    }

    /// Like `at`, for what may be gone along with its namespace.
    pub fn at_if_present(&mut self, netns: &str) -> Result<Option<&mut Site>> {
        match self.at(netns) {
            Ok(site) => Ok(Some(site)),
            Err(error) if error.is(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Runs `work` on this thread inside a namespace.
    pub fn inside<T>(&mut self, netns: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let netns = self.at(netns)?.netns.clone();
        self.home.visit(&netns, work)
    }

    /// Lets go of the namespaces visited: a socket left open would keep a dead container's alive.
    pub fn leave(&mut self) {
        self.visited.clear();
        self.host.known.clear();
    }

    /// Whether there was anything to forget of what earlier batches found in the switch.
    pub fn forget_switch(&mut self) -> bool {
        let knew = !self.switch.known.is_empty();
        self.switch.known.clear();
        knew
    }

    pub fn is_lost(&self) -> bool {
        self.home.is_lost()
    }

    /// Marks the sockets as not to be trusted: work with them ended midway.
    pub fn spoil(&mut self) {
        self.spoiled = true;
    }

    pub fn is_spoiled(&self) -> bool {
        self.spoiled
    }

    #[cfg(test)]
    pub fn strand(&self) {
        self.home.strand();
    }
}
