//! What there is to tell, as it is handed over, and as it is kept.

use std::net::IpAddr;

use weave_kernel::{Error, Result};

use crate::{
    name::{DnsName, key, qualify},
    scope::Subnet,
};

#[derive(Debug, Clone, Default)]
pub struct NetworkRecord {
    pub id: String,
    pub subnets: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub struct NameRecord {
    pub id: String,
    pub name: String,
    pub network: Option<String>,
    pub addresses: Vec<String>,
    pub local: bool,
    pub ports: Vec<Port>,
}

/// Something that listens, for SRV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub port: u16,
    /// `tcp`
    pub protocol: String,
    /// `http`
    pub service: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct AskerRecord {
    pub address: String,
    pub networks: Vec<String>,
}

/// First what is gone goes, or everything; then what is put is put.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub everything_gone: bool,
    pub networks_gone: Vec<String>,
    pub names_gone: Vec<String>,
    pub askers_gone: Vec<String>,
    pub networks: Vec<NetworkRecord>,
    pub names: Vec<NameRecord>,
    pub askers: Vec<AskerRecord>,
}

/// One name of one endpoint.
pub struct Entry {
    /// Yours.
    pub id: String,
    pub name: DnsName,
    pub key: Box<[u8]>,
    pub network: Option<Box<str>>,
    pub addresses: Vec<IpAddr>,
    pub local: bool,
    pub ports: Vec<Port>,
}

/// Changes that are known to be sound: applying them cannot fail half-way.
pub struct Checked {
    pub everything_gone: bool,
    pub networks_gone: Vec<String>,
    pub names_gone: Vec<String>,
    pub askers_gone: Vec<IpAddr>,
    pub networks: Vec<(String, Vec<Subnet>)>,
    pub names: Vec<Entry>,
    pub askers: Vec<(IpAddr, Vec<Box<str>>)>,
}

impl Changes {
    /// # Errors
    /// EINVAL, with what is at fault.
    pub fn check(self, domain: &DnsName) -> Result<Checked> {
        Ok(Checked {
            everything_gone: self.everything_gone,
            networks_gone: self.networks_gone,
            names_gone: self.names_gone,
            askers_gone: addresses(&self.askers_gone)?,
            networks: all(self.networks, network)?,
            names: all(self.names, |record| entry(record, domain))?,
            askers: all(self.askers, asker)?,
        })
    }
}

fn all<T, U>(list: Vec<T>, check: impl FnMut(T) -> Result<U>) -> Result<Vec<U>> {
    list.into_iter().map(check).collect()
}

fn addresses(list: &[String]) -> Result<Vec<IpAddr>> {
    list.iter().map(|text| address(text)).collect()
}

pub fn address(text: &str) -> Result<IpAddr> {
    let parsed = text.parse();
    parsed.map_err(|_| Error::invalid("address", format!("\"{text}\" is no address")))
}

fn network(record: NetworkRecord) -> Result<(String, Vec<Subnet>)> {
    let mut subnets = Vec::with_capacity(record.subnets.len());
    for text in &record.subnets {
        let subnet = Subnet::parse(text)?;
        if !subnets.contains(&subnet) {
            subnets.push(subnet);
        }
    }
    Ok((record.id, subnets))
}

fn entry(record: NameRecord, domain: &DnsName) -> Result<Entry> {
    let name = qualify("name", &record.name, domain)?;
    Ok(Entry {
        id: record.id,
        key: key(&name).into(),
        name,
        network: record.network.map(Into::into),
        addresses: addresses(&record.addresses)?,
        local: record.local,
        ports: record.ports,
    })
}

fn asker(record: AskerRecord) -> Result<(IpAddr, Vec<Box<str>>)> {
    let networks = record.networks.into_iter().map(Into::into).collect();
    Ok((address(&record.address)?, networks))
}
