//! What there is to say to a question, before it is put into a packet.

use std::net::IpAddr;

use domain::base::Rtype;

use crate::{
    name::{DnsName, first_label, is_single, is_within, parent, reverse_zone, reversed, suffixes},
    record::{Entry, Port},
    scope::Scope,
    table::Table,
    zone::Zone,
};

/// Addresses and ports are in [`Found`], where there is room for them already.
pub enum Finding<'a> {
    /// Not ours to answer.
    Elsewhere,
    Refused,
    Absent(Authority),
    /// The name exists, and has nothing of what was asked for.
    Empty(Authority),
    Addresses,
    Pointer(&'a DnsName),
    /// The ports of a name.
    Services(&'a DnsName),
    Soa,
    Server,
}

/// Whose word it is that there is none.
pub enum Authority {
    Domain,
    Reverse(DnsName),
    /// A name of one label is in no zone of ours, whatever we know of it.
    None,
}

/// Room for what is found, kept from question to question.
#[derive(Default)]
pub struct Found {
    pub addresses: Vec<IpAddr>,
    pub ports: Vec<u16>,
    distant: Vec<IpAddr>,
    qualified: Vec<u8>,
}

/// What is asked for: a name's key, a type, and by whom.
pub struct Wanted<'a> {
    pub key: &'a [u8],
    pub rtype: Rtype,
    pub asker: IpAddr,
}

pub fn find<'a>(zone: &Zone, table: &'a Table, wanted: &Wanted, found: &mut Found) -> Finding<'a> {
    let ours = is_within(wanted.key, &zone.key);
    if !ours && is_short(wanted.key) {
        return find_short(zone, table, wanted, found);
    }
    if ours && matches!(wanted.rtype, Rtype::AXFR | Rtype::IXFR) {
        Finding::Refused
    } else if ours && wanted.key == zone.key {
        find_apex(wanted.rtype)
    } else if ours {
        find_name(zone, table, wanted, found, || Authority::Domain)
    } else if let Some(address) = reversed(wanted.key) {
        find_reverse(table, wanted, address)
    } else {
        Finding::Elsewhere
    }
}

/// `web`, `_http._tcp.web`
fn is_short(key: &[u8]) -> bool {
    let mut names = suffixes(key);
    let name = names.find(|key| !first_label(key).starts_with(b"_"));
    name.is_some_and(|name| is_single(name) || (name == [0] && is_single(key)))
}

/// `web.` is `web.weave.local.`, and never asked of anyone else.
fn find_short<'a>(
    zone: &Zone,
    table: &'a Table,
    wanted: &Wanted,
    found: &mut Found,
) -> Finding<'a> {
    let mut key = std::mem::take(&mut found.qualified);
    key.clear();
    key.extend_from_slice(&wanted.key[..wanted.key.len() - 1]);
    key.extend_from_slice(&zone.key);
    let wanted = Wanted {
        key: &key,
        ..*wanted
    };
    let finding = find_name(zone, table, &wanted, found, || Authority::None);
    found.qualified = key;
    finding
}

fn find_apex<'a>(rtype: Rtype) -> Finding<'a> {
    match rtype {
        Rtype::SOA => Finding::Soa,
        Rtype::NS => Finding::Server,
        _ => Finding::Empty(Authority::Domain),
    }
}

fn find_name<'a>(
    zone: &Zone,
    table: &'a Table,
    wanted: &Wanted,
    found: &mut Found,
    authority: impl Fn() -> Authority,
) -> Finding<'a> {
    let scope = table.scopes.of(wanted.asker);
    let Some(entries) = table.get(wanted.key, scope) else {
        if first_label(wanted.key).starts_with(b"_") {
            return find_service(table, wanted, scope, found, authority());
        }
        return Finding::Absent(authority());
    };
    if wanted.rtype == Rtype::SRV {
        return services(entries, |_| true, found).unwrap_or(Finding::Empty(authority()));
    }
    found.gather(entries, zone.local_first, |address| {
        matches!(
            (wanted.rtype, address),
            (Rtype::A | Rtype::ANY, IpAddr::V4(_)) | (Rtype::AAAA | Rtype::ANY, IpAddr::V6(_))
        )
    });
    if found.addresses.is_empty() {
        return Finding::Empty(authority());
    }
    Finding::Addresses
}

/// `_http._tcp.web`, `_80._tcp.web`.
fn find_service<'a>(
    table: &'a Table,
    wanted: &Wanted,
    scope: Scope<'a>,
    found: &mut Found,
    authority: Authority,
) -> Finding<'a> {
    let labels = suffixes(wanted.key).take_while(|key| first_label(key).starts_with(b"_"));
    let labels: Vec<_> = labels.take(3).map(|key| &first_label(key)[1..]).collect();
    let &[service, protocol] = labels.as_slice() else {
        return Finding::Absent(authority);
    };
    let Some(entries) = table.get(parent(parent(wanted.key)), scope) else {
        return Finding::Absent(authority);
    };
    let is_meant = |port: &Port| {
        let is_service = |name: &String| name.as_bytes().eq_ignore_ascii_case(service);
        port.protocol.as_bytes().eq_ignore_ascii_case(protocol)
            && (port.port.to_string().as_bytes() == service
                || port.service.as_ref().is_some_and(is_service))
    };
    match services(entries, is_meant, found) {
        None => Finding::Absent(authority),
        Some(_) if wanted.rtype != Rtype::SRV && wanted.rtype != Rtype::ANY => {
            Finding::Empty(authority)
        }
        Some(services) => services,
    }
}

fn services<'a>(
    entries: impl Iterator<Item = &'a Entry> + Clone,
    is_meant: impl Fn(&Port) -> bool,
    found: &mut Found,
) -> Option<Finding<'a>> {
    let ports = entries.clone().flat_map(|entry| &entry.ports);
    found.ports.clear();
    found
        .ports
        .extend(ports.filter(|port| is_meant(port)).map(|port| port.port));
    found.ports.sort_unstable();
    found.ports.dedup();
    found.gather(entries.clone(), false, |_| true);
    let target = entries.map(|entry| &entry.name).next()?;
    (!found.ports.is_empty()).then_some(Finding::Services(target))
}

/// Addresses of our networks are asked of nobody else, whether they have a name or not.
fn find_reverse<'a>(table: &'a Table, wanted: &Wanted, address: IpAddr) -> Finding<'a> {
    let scope = table.scopes.of(wanted.asker);
    let subnet = table.scopes.subnet_of(address);
    let authority = || {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = subnet.map_or(longest, |(subnet, _)| subnet.prefix);
        Authority::Reverse(reverse_zone(address, prefix))
    };
    match table.name_of(address, &scope) {
        Some(entry) if matches!(wanted.rtype, Rtype::PTR | Rtype::ANY) => {
            Finding::Pointer(&entry.name)
        }
        Some(_) => Finding::Empty(authority()),
        None if subnet.is_some() || table.knows(address) => Finding::Absent(authority()),
        None => Finding::Elsewhere,
    }
}

impl Found {
    /// Each address once, in an order of chance; those of this host first where that was asked for.
    fn gather<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a Entry>,
        local_first: bool,
        is_wanted: impl Fn(&IpAddr) -> bool,
    ) {
        self.addresses.clear();
        self.distant.clear();
        for entry in entries {
            let wanted = entry.addresses.iter().filter(|address| is_wanted(address));
            if local_first && !entry.local {
                self.distant.extend(wanted);
            } else {
                self.addresses.extend(wanted);
            }
        }
        shuffle(&mut self.addresses);
        if !self.distant.is_empty() {
            shuffle(&mut self.distant);
            let Self {
                addresses, distant, ..
            } = self;
            distant.retain(|address| !addresses.contains(address));
            addresses.append(distant);
        }
    }
}

fn shuffle(addresses: &mut Vec<IpAddr>) {
    if addresses.len() > 1 {
        addresses.sort_unstable();
        addresses.dedup();
        fastrand::shuffle(addresses);
    }
}
