//! Questions that are sent on, and the answers to them: packets in, packets out.

use domain::{
    base::{
        Header, Message, MessageBuilder, Name, ParsedName, Rtype, ToName,
        iana::Rcode,
        message::RecordSection,
        message_builder::{PushError, QuestionBuilder},
    },
    rdata::Soa,
};

use crate::{
    answer::{Transport, UDP_MOST, room},
    name::key,
    query::{Query, read},
};

/// However long an answer may be kept: for a day; that there is none, for three hours (RFC 2308 §5).
const LONGEST: u32 = 86_400;
const LONGEST_NONE: u32 = 10_800;
const HEADER: usize = 12;

/// A question as it is sent on: in lower case, without what is between the asker and us only (EDNS options), id 0. Equal
/// ones have equal answers.
#[must_use]
pub fn question(packet: &[u8]) -> Option<Vec<u8>> {
    let query = read(packet).ok()?;
    let Ok(mut builder) = MessageBuilder::from_target(vec![]);
    let header = builder.header_mut();
    header.set_rd(query.header.rd());
    header.set_cd(query.header.cd());
    let name = Name::from_octets(key(query.question.qname())).ok()?;
    let mut question = builder.question();
    let asked = (name, query.question.qtype(), query.question.qclass());
    question.push(asked).ok()?;
    with_edns(question, &query).ok()
}

/// Whether it answers that very question.
#[must_use]
pub fn is_answer(question: &[u8], answer: &[u8]) -> bool {
    let (Ok(question), Ok(answer)) = (Message::from_slice(question), Message::from_slice(answer))
    else {
        return false;
    };
    answer.is_answer(question) && sections(answer).is_some()
}

/// For how many seconds an answer may be kept; none for one that may not.
#[must_use]
pub fn life(answer: &[u8]) -> Option<u32> {
    let message = Message::from_slice(answer).ok()?;
    let header = message.header();
    if header.tc() || !matches!(header.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN) {
        return None;
    }
    let shortest = records(message)?.map(|(_, ttl)| ttl).min();
    let is_none = header.rcode() == Rcode::NXDOMAIN || message.header_counts().ancount() == 0;
    let life = if is_none {
        shortest?.min(negative(message)?).min(LONGEST_NONE)
    } else {
        shortest?.min(LONGEST)
    };
    (life > 0).then_some(life)
}

/// For how long "there is none" may be believed.
fn negative(message: &Message<[u8]>) -> Option<u32> {
    let authority = message.authority().ok()?;
    let soa = authority.limit_to::<Soa<ParsedName<_>>>().next()?.ok()?;
    Some(soa.data().minimum().as_secs())
}

/// The answer to `packet` out of one that is `age` seconds old; cut short where the asker takes no more.
#[must_use]
pub fn reply(packet: &[u8], answer: &[u8], age: u32, transport: Transport) -> Option<Vec<u8>> {
    let query = read(packet).ok()?;
    let message = Message::from_slice(answer).ok()?;
    if answer.len() > room(query.edns, transport) {
        return cut(&query, message.header());
    }
    let mut out = answer.to_vec();
    for (at, ttl) in records(message)? {
        let left = ttl.saturating_sub(age);
        out.get_mut(at..at + 4)?
            .copy_from_slice(&left.to_be_bytes());
    }
    let mut name = vec![];
    let Ok(()) = query.question.qname().compose(&mut name);
    let asked = out.get_mut(HEADER..HEADER + name.len())?;
    // With the asker's case.
    if asked.eq_ignore_ascii_case(&name) {
        asked.copy_from_slice(&name);
    }
    head(Header::for_message_slice_mut(&mut out), query.header);
    Some(out)
}

/// The answer to a question that could not be answered.
#[must_use]
pub fn failure(packet: &[u8]) -> Option<Vec<u8>> {
    let query = read(packet).ok()?;
    short(&query, |header| header.set_rcode(Rcode::SERVFAIL))
}

fn cut(query: &Query, answer: Header) -> Option<Vec<u8>> {
    short(query, |header| {
        header.set_rcode(answer.rcode());
        header.set_tc(true);
    })
}

fn short(query: &Query, say: impl FnOnce(&mut Header)) -> Option<Vec<u8>> {
    let Ok(mut builder) = MessageBuilder::from_target(vec![]);
    let header = builder.header_mut();
    header.set_qr(true);
    head(header, query.header);
    say(header);
    let mut question = builder.question();
    question.push(query.question).ok()?;
    with_edns(question, query).ok()
}

fn head(header: &mut Header, asked: Header) {
    header.set_id(asked.id());
    header.set_rd(asked.rd());
    header.set_cd(asked.cd());
    header.set_ra(true);
    // We are not who knows.
    header.set_aa(false);
}

fn with_edns(question: QuestionBuilder<Vec<u8>>, query: &Query) -> Result<Vec<u8>, PushError> {
    let mut additional = question.additional();
    if let Some(edns) = query.edns {
        additional.opt(|opt| {
            opt.set_udp_payload_size(UDP_MOST);
            opt.set_dnssec_ok(edns.dnssec_ok);
            Ok(())
        })?;
    }
    Ok(additional.finish())
}

/// Where each record's TTL is, and what it is. OPT has none.
fn records(message: &Message<[u8]>) -> Option<impl Iterator<Item = (usize, u32)>> {
    let mut found = vec![];
    for mut section in sections(message)? {
        while let Some(record) = section.next() {
            let record = record.ok()?;
            if record.rtype() != Rtype::OPT {
                let at = section.pos() - usize::from(record.rdlen()) - 6;
                found.push((at, record.ttl().as_secs()));
            }
        }
    }
    Some(found.into_iter())
}

fn sections(message: &Message<[u8]>) -> Option<[RecordSection<'_, [u8]>; 3]> {
    let (_, answer, authority, additional) = message.sections().ok()?;
    let mut rest = additional;
    if !rest.by_ref().all(|record| record.is_ok()) {
        return None;
    }
    Some([answer, authority, additional])
}
