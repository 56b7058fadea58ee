//! What was read from the kernel. Plain data.

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedLink {
    pub name: String,
    pub index: u32,
    pub kind: String,
    pub mac: String,
    pub mtu: u32,
    pub up: bool,
    pub group: u32,
    pub alias: Option<String>,
    pub master: Option<String>,
    pub vni: Option<u32>,
    pub port: Option<u32>,
    pub local: Option<String>,
    pub peer_index: Option<u32>,
    /// Of a bridge's port: it learns no MACs, and ARP and ND for known neighbours are not flooded to it.
    pub quiet: bool,
    /// Of a bridge's port: it exchanges no frames with other isolated ports.
    pub isolated: bool,
    pub peer_mtu: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedAddress {
    pub link: String,
    pub address: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedRoute {
    pub link: Option<String>,
    pub destination: String,
    pub gateway: Option<String>,
    pub protocol: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedNeighbour {
    pub link: String,
    pub address: String,
    pub mac: String,
    pub permanent: bool,
}

/// Without a destination: of the bridge that `link` is a port of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedFdb {
    pub link: String,
    pub mac: String,
    pub destination: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedSysctl {
    pub key: String,
    pub value: String,
}

/// The answer to one query. When it could not be read, `errno` and `code` say why and the lists are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    pub netns: String,
    pub errno: Option<i32>,
    pub code: Option<String>,
    pub links: Vec<ObservedLink>,
    pub addresses: Vec<ObservedAddress>,
    pub routes: Vec<ObservedRoute>,
    pub neighbours: Vec<ObservedNeighbour>,
    pub fdb: Vec<ObservedFdb>,
    pub sysctls: Vec<ObservedSysctl>,
}
