//! Packets in, packets out; without sockets.

mod answers;
mod fuzz;
mod relayed;
mod scopes;

use std::sync::RwLock;

use domain::base::{
    Message, MessageBuilder, Name, Rtype,
    iana::{Class, Rcode},
};

use crate::{
    answer::{Asked, Desk, Transport, Verdict, answer},
    record::{AskerRecord, Changes, NameRecord, NetworkRecord, Port},
    table::{self, Table},
    zone::Zone,
};

const HOST: &str = "192.0.2.1";

/// A server without its threads.
struct Bench {
    zone: Zone,
    table: RwLock<Table>,
}

impl Bench {
    fn new(changes: Changes) -> Self {
        let mut bench = Self {
            zone: Zone::new("weave.local", 1, false).unwrap(),
            table: RwLock::default(),
        };
        bench.update(changes);
        bench
    }

    fn update(&mut self, changes: Changes) {
        table::update(&self.table, changes.check(&self.zone.domain).unwrap());
    }

    fn answer(&self, packet: &[u8], source: &str, transport: Transport) -> (Verdict, Vec<u8>) {
        let mut out = vec![];
        let asked = Asked {
            packet,
            asker: source.parse().unwrap(),
            transport,
        };
        let verdict = answer(
            &self.zone,
            &table::read(&self.table),
            &mut Desk::default(),
            &asked,
            &mut out,
        );
        (verdict, out)
    }

    fn ask(&self, name: &str, rtype: Rtype, asker: &str) -> Said {
        let (verdict, out) = self.answer(&query(name, rtype), asker, Transport::Udp);
        Said::read(verdict, out)
    }
}

/// An answer, read by the codec.
struct Said {
    verdict: Verdict,
    message: Message<Vec<u8>>,
}

impl Said {
    fn read(verdict: Verdict, out: Vec<u8>) -> Self {
        let message = Message::from_octets(out).unwrap();
        Self { verdict, message }
    }

    fn rcode(&self) -> Rcode {
        self.message.header().rcode()
    }

    /// The answer section, each record as zone files have it, sorted.
    fn records(&self) -> Vec<String> {
        use domain::rdata::AllRecordData;
        let section = self.message.answer().unwrap();
        let records = section.limit_to::<AllRecordData<_, _>>();
        let mut records: Vec<_> = records.map(|r| r.unwrap().data().to_string()).collect();
        records.sort();
        records
    }
}

fn query(name: &str, rtype: Rtype) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(0x1234);
    builder.header_mut().set_rd(true);
    let mut question = builder.question();
    let name = Name::vec_from_str(name).unwrap();
    question.push((name, rtype, Class::IN)).unwrap();
    question.finish()
}

fn name(id: &str, name: &str, network: Option<&str>, addresses: &[&str]) -> NameRecord {
    NameRecord {
        id: id.to_owned(),
        name: name.to_owned(),
        network: network.map(str::to_owned),
        addresses: strings(addresses),
        local: false,
        ports: vec![],
    }
}

fn network(id: &str, subnets: &[&str]) -> NetworkRecord {
    NetworkRecord {
        id: id.to_owned(),
        subnets: strings(subnets),
    }
}

fn asker(address: &str, networks: &[&str]) -> AskerRecord {
    AskerRecord {
        address: address.to_owned(),
        networks: strings(networks),
    }
}

fn port(port: u16, protocol: &str, service: Option<&str>) -> Port {
    Port {
        port,
        protocol: protocol.to_owned(),
        service: service.map(str::to_owned),
    }
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}
