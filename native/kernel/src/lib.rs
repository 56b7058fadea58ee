//! Reads and changes kernel network state over rtnetlink, across network namespaces.
//!
//! Everything that touches the kernel happens on one worker thread of our own ([`Kernel`]); a second
//! thread only reaps retired links. Ops and answers are plain data, so that a binding has nothing to decide.

mod announce;
mod apply;
mod background;
mod bridge;
mod content;

mod demolish;
mod error;
mod kernel;
mod link;
mod losses;
mod message;
mod netns;
mod news;
mod observe;
mod observed;
mod op;
mod pair;
mod parse;
mod pin;
mod probe;
mod request;
mod site;
mod socket;
mod sysctl;
mod veth;
mod vxlan;
mod watch;
mod worker;

pub use background::REAP_GROUP;
pub use error::{Error, Result};
pub use kernel::{Kernel, Settings};
pub use netns::{identity, inside};
pub use observed::{
    Observed, ObservedAddress, ObservedFdb, ObservedLink, ObservedNeighbour, ObservedRoute,
};
pub use op::{Applied, Bridge, Failure, Op, Peer, Query, Veth, Vxlan};
pub use probe::{keep_port, probe_socket};
pub use watch::Changed;
