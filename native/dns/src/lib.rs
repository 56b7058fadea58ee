//! An authoritative DNS responder: names in memory, each told only to who can reach it, over UDP and TCP from sockets
//! inside any network namespace. What is not ours is handed to whoever serves the rest.

mod answer;
mod batch;
mod connection;
mod find;
mod listen;
mod name;
mod query;
mod record;
pub mod relay;
mod scope;
mod server;
mod stats;
mod table;
mod tcp;
mod udp;
mod waiting;
mod zone;

pub use answer::Transport;
pub use listen::Listen;
pub use name::qualified;
pub use record::{AskerRecord, Changes, NameRecord, NetworkRecord, Port};
pub use server::{Question, Server, Settings};
pub use stats::Counts;

#[cfg(test)]
mod tests;
