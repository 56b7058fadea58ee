//! Reading a question.

use domain::base::{
    Header, Message, ParsedName, ParsedRecord, Question, Rtype,
    iana::{Opcode, Rcode},
    opt::{Opt, OptRecord},
};

/// What was asked; its name still is where it was read.
pub struct Query<'a> {
    pub header: Header,
    pub question: Question<ParsedName<&'a [u8]>>,
    pub edns: Option<Edns>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns {
    /// The largest packet that the asker takes.
    pub size: u16,
    pub version: u8,
    pub dnssec_ok: bool,
}

/// Why there is no question in a packet.
#[derive(Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is an answer, and answering one might begin a loop; or too short to be answered.
    Silence,
    Say(Rcode),
}

/// # Errors
/// What to say instead of an answer.
pub fn read(packet: &[u8]) -> Result<Query<'_>, Unread> {
    let message = Message::from_slice(packet).map_err(|_| Unread::Silence)?;
    let header = message.header();
    if header.qr() {
        return Err(Unread::Silence);
    }
    if header.opcode() != Opcode::QUERY {
        return Err(Unread::Say(Rcode::NOTIMP));
    }
    contents(message).ok_or(Unread::Say(Rcode::FORMERR))
}

/// One question and at most one OPT record, and nothing that cannot be read before, between or after.
fn contents(message: &Message<[u8]>) -> Option<Query<'_>> {
    let question = message.sole_question().ok()?;
    let mut edns = None;
    let mut section = message.answer().ok()?.next_section().ok()??;
    section = section.next_section().ok()??;
    for record in &mut section {
        let record = record.ok()?;
        if record.rtype() == Rtype::OPT && edns.replace(read_edns(&record)?).is_some() {
            return None;
        }
    }
    let header = message.header();
    (section.pos() == message.as_slice().len()).then_some(Query {
        header,
        question,
        edns,
    })
}

fn read_edns(record: &ParsedRecord<[u8]>) -> Option<Edns> {
    let record = record.to_record::<Opt<_>>().ok()??;
    if !record.owner().is_root() {
        return None;
    }
    let opt = OptRecord::from(record);
    Some(Edns {
        size: opt.udp_payload_size(),
        version: opt.version(),
        dnssec_ok: opt.dnssec_ok(),
    })
}
