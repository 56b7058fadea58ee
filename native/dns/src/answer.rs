//! A packet for a packet.

use std::net::IpAddr;

use domain::{
    base::{
        Header, MessageBuilder, RecordSectionBuilder, StaticCompressor, ToName, Ttl,
        iana::{Class, OptRcode, Rcode},
        message_builder::{AdditionalBuilder, AnswerBuilder, AuthorityBuilder, PushError},
    },
    rdata::{A, Aaaa, Ns, Ptr, Srv},
};

use crate::{
    find::{Authority, Finding, Found, Wanted, find},
    name::key_into,
    query::{Edns, Query, Unread, read},
    table::Table,
    zone::Zone,
};

/// What a packet over UDP may have without EDNS, and at most: more would be cut on the way through a tunnel (RFC 9715).
const UDP_LEAST: u16 = 512;
pub const UDP_MOST: u16 = 1232;
const OPT_LENGTH: usize = 11;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Answered,
    Truncated,
    /// Answered too: with what is wrong with it.
    Malformed,
    Forward,
    Silence,
}

/// What a thread that answers works with.
#[derive(Default)]
pub struct Desk {
    key: Vec<u8>,
    found: Found,
}

type Target<'a> = StaticCompressor<&'a mut Vec<u8>>;

/// One question.
pub struct Asked<'a> {
    pub packet: &'a [u8],
    pub asker: IpAddr,
    pub transport: Transport,
}

/// Answers into `out`, whose content is of use only if there is an answer.
pub fn answer(
    zone: &Zone,
    table: &Table,
    desk: &mut Desk,
    asked: &Asked,
    out: &mut Vec<u8>,
) -> Verdict {
    let query = match read(asked.packet) {
        Ok(query) => query,
        Err(Unread::Silence) => return Verdict::Silence,
        Err(Unread::Say(rcode)) => return complain(asked.packet, rcode, out),
    };
    key_into(query.question.qname(), &mut desk.key);
    let wanted = Wanted {
        key: &desk.key,
        rtype: query.question.qtype(),
        asker: asked.asker,
    };
    let newer = query.edns.is_some_and(|edns| edns.version > 0);
    let finding = if newer || query.question.qclass() != Class::IN {
        Finding::Refused
    } else {
        find(zone, table, &wanted, &mut desk.found)
    };
    let rcode = match finding {
        Finding::Elsewhere => return Verdict::Forward,
        Finding::Refused if newer => OptRcode::BADVERS,
        Finding::Refused => OptRcode::REFUSED,
        Finding::Absent(_) => OptRcode::NXDOMAIN,
        _ => OptRcode::NOERROR,
    };
    let reply = Reply {
        zone,
        serial: table.serial,
        query: &query,
        found: &desk.found,
        finding,
    };
    reply.compose(rcode, asked.transport, out)
}

/// There is no question to repeat; so there is only a header.
fn complain(packet: &[u8], rcode: Rcode, out: &mut Vec<u8>) -> Verdict {
    let Ok(mut builder) = MessageBuilder::from_target(out);
    let asked = Header::for_message_slice(packet);
    let header = builder.header_mut();
    header.set_id(asked.id());
    header.set_qr(true);
    header.set_opcode(asked.opcode());
    header.set_rd(asked.rd());
    header.set_rcode(rcode);
    Verdict::Malformed
}

struct Reply<'a> {
    zone: &'a Zone,
    serial: u32,
    query: &'a Query<'a>,
    finding: Finding<'a>,
    found: &'a Found,
}

impl Reply<'_> {
    /// As much as there is room for.
    fn compose(&self, rcode: OptRcode, transport: Transport, out: &mut Vec<u8>) -> Verdict {
        let Ok(mut builder) = MessageBuilder::from_target(StaticCompressor::new(out));
        self.head(builder.header_mut(), rcode);
        let edns = self.query.edns;
        let most = room(edns, transport);
        // The limit is the first length that is too long.
        builder.set_push_limit(most + 1 - edns.map_or(0, |_| OPT_LENGTH));

        let mut question = builder.question();
        let asked = question.push(self.query.question);
        let mut answer = question.answer();
        let answered = asked.and_then(|()| self.answers(&mut answer));
        let mut authority = answer.authority();
        let told = answered.and_then(|()| self.authority(&mut authority));
        let mut additional = authority.additional();
        if told.is_ok() {
            self.additional(&mut additional);
        } else {
            additional.header_mut().set_tc(true);
        }
        additional.set_push_limit(most + 1);
        if let Some(edns) = edns {
            // Room was kept for it.
            let _ = additional.opt(|opt| {
                opt.set_udp_payload_size(UDP_MOST);
                opt.set_dnssec_ok(edns.dnssec_ok);
                opt.set_rcode(rcode);
                Ok(())
            });
        }
        told.map_or(Verdict::Truncated, |()| Verdict::Answered)
    }

    fn head(&self, header: &mut Header, rcode: OptRcode) {
        let asked = self.query.header;
        header.set_id(asked.id());
        header.set_qr(true);
        header.set_aa(!matches!(self.finding, Finding::Refused));
        header.set_rd(asked.rd());
        header.set_ra(true);
        header.set_cd(asked.cd());
        header.set_rcode(rcode.rcode());
    }

    fn answers(&self, answer: &mut AnswerBuilder<Target>) -> Result<(), PushError> {
        let owner = self.query.question.qname();
        let ttl = self.zone.ttl;
        match &self.finding {
            Finding::Addresses => self
                .addresses()
                .try_for_each(|address| push_address(answer, owner, ttl, address)),
            Finding::Pointer(name) => answer.push((owner, ttl, Ptr::new(name))),
            Finding::Services(target) => self.found.ports.iter().try_for_each(|&port| {
                let (priority, weight) = (0, 0);
                answer.push((owner, ttl, Srv::new(priority, weight, port, target)))
            }),
            Finding::Soa => answer.push((owner, ttl, self.zone.soa(self.serial))),
            Finding::Server => answer.push((owner, ttl, Ns::new(&self.zone.server))),
            Finding::Elsewhere | Finding::Refused | Finding::Absent(_) | Finding::Empty(_) => {
                Ok(())
            }
        }
    }

    fn authority(&self, authority: &mut AuthorityBuilder<Target>) -> Result<(), PushError> {
        let owner = match &self.finding {
            Finding::Absent(Authority::Domain) | Finding::Empty(Authority::Domain) => {
                &self.zone.domain
            }
            Finding::Absent(Authority::Reverse(name))
            | Finding::Empty(Authority::Reverse(name)) => name,
            _ => return Ok(()),
        };
        authority.push((owner, self.zone.ttl, self.zone.soa(self.serial)))
    }

    /// The addresses of a service's target, as far as there is room: they can be asked for.
    fn additional(&self, additional: &mut AdditionalBuilder<Target>) {
        if let Finding::Services(target) = self.finding {
            let _ = self
                .addresses()
                .try_for_each(|address| push_address(additional, target, self.zone.ttl, address));
        }
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.found.addresses.iter().copied()
    }
}

/// The largest answer that the asker takes.
pub fn room(edns: Option<Edns>, transport: Transport) -> usize {
    let size = match transport {
        Transport::Tcp => u16::MAX,
        Transport::Udp => edns.map_or(UDP_LEAST, |edns| edns.size.clamp(UDP_LEAST, UDP_MOST)),
    };
    usize::from(size)
}

fn push_address<'a>(
    section: &mut impl RecordSectionBuilder<Target<'a>>,
    owner: &impl ToName,
    ttl: Ttl,
    address: IpAddr,
) -> Result<(), PushError> {
    match address {
        IpAddr::V4(address) => section.push((owner, ttl, A::new(address))),
        IpAddr::V6(address) => section.push((owner, ttl, Aaaa::new(address))),
    }
}
