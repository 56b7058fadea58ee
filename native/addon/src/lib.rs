//! The N-API face of weave-kernel: converts and calls. No logic, no thread, no netlink here.

// Doc comments here are TypeScript's: they end up in index.d.ts.
#![allow(clippy::missing_errors_doc)]
// N-API hands over owned values.
#![allow(clippy::needless_pass_by_value)]

mod convert;
pub mod dns;
mod observed;
mod op;

use std::os::fd::IntoRawFd;

use napi::{
    Env, JsError,
    bindgen_prelude::Object,
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use napi_derive::napi;
use weave_kernel::{Error, Settings};

use crate::{
    observed::{Changed, Observed, Query},
    op::{Applied, Op},
};

/// A function of JavaScript's that may be called from any thread, and is no reason for Node to go on.
type Told = ThreadsafeFunction<Changed, (), Changed, napi::Status, false, true>;

/// Its status is the errno's name, which becomes the JavaScript error's `code`.
type CodedError = napi::Error<String>;

fn coded(error: Error) -> CodedError {
    CodedError::new(error.code, error.message)
}

/// The kernel's network state, by way of one worker thread. An idle one does not keep the process alive.
#[napi]
pub struct Kernel {
    kernel: weave_kernel::Kernel,
}

#[napi]
impl Kernel {
    /// Opens the switch namespace pinned at `switchPath`, making and pinning it when absent. Throws with
    /// the errno's name as `code`.
    #[napi(factory, catch_unwind)]
    pub fn open(switch_path: String) -> Result<Self, CodedError> {
        let kernel = weave_kernel::Kernel::open(&Settings::new(switch_path)).map_err(coded)?;
        Ok(Self { kernel })
    }

    /// Applies each batch in order up to its first failure; one batch's failure does not stop the others.
    /// Never rejects: failures are in the answer.
    #[napi(catch_unwind, ts_return_type = "Promise<Applied[]>")]
    pub fn apply<'env>(&self, env: &'env Env, batches: Vec<Vec<Op>>) -> napi::Result<Object<'env>> {
        let (deferred, promise) = env.create_deferred()?;
        let batches = batches
            .into_iter()
            .map(|ops| ops.into_iter().map(Into::into).collect())
            .collect();
        self.kernel.apply(batches, move |applied| {
            deferred.resolve(move |_| {
                Ok(applied
                    .into_iter()
                    .map(Into::into)
                    .collect::<Vec<Applied>>())
            });
        });
        Ok(promise)
    }

    /// Reads namespaces, after all that was applied before. Never rejects: a namespace that cannot be
    /// read says so in the answer.
    #[napi(catch_unwind, ts_return_type = "Promise<Observed[]>")]
    pub fn observe<'env>(&self, env: &'env Env, queries: Vec<Query>) -> napi::Result<Object<'env>> {
        let (deferred, promise) = env.create_deferred()?;
        let queries = queries.into_iter().map(Into::into).collect();
        self.kernel.observe(queries, move |observed| {
            deferred.resolve(move |_| {
                Ok(observed
                    .into_iter()
                    .map(Into::into)
                    .collect::<Vec<Observed>>())
            });
        });
        Ok(promise)
    }

    /// Calls back with what anybody changes from now on, gathered for at most half a second, until the handle is
    /// closed. Does not keep the process alive.
    #[napi(catch_unwind, ts_args_type = "changed: (changed: Changed) => void")]
    pub fn watch(&self, changed: Told) -> Result<(), CodedError> {
        let tell = move |what: weave_kernel::Changed| {
            changed.call(what.into(), ThreadsafeFunctionCallMode::NonBlocking);
        };
        self.kernel.watch(tell).map_err(coded)
    }

    /// Deletes everything in the switch and unpins it. The handle is closed by it.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn destroy<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let (deferred, promise) = env.create_deferred()?;
        self.kernel.destroy(move |outcome| {
            deferred.resolve(move |env| outcome.map_err(|error| rejection(error, env)));
        });
        Ok(promise)
    }

    /// Stops the worker after what was asked of it before. The switch stays.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.kernel.close();
    }
}

/// A napi error only carries a status of its own set; a JavaScript error made here carries any code.
fn rejection(error: Error, env: Env) -> napi::Error {
    JsError::from(coded(error)).into_unknown(env).into()
}

/// A UDP socket in the host, bound to an address, whose packets are never fragmented on their way: the descriptor, for
/// `dgram.Socket.bind({ fd })`. What is larger than the link's MTU is refused with EMSGSIZE. Throws with the errno's
/// name as `code`.
#[napi(catch_unwind)]
pub fn probe_socket(address: String, port: u32) -> Result<i32, CodedError> {
    weave_kernel::probe_socket(&address, port)
        .map(IntoRawFd::into_raw_fd)
        .map_err(coded)
}

/// Once a probing socket was taken over by its descriptor: its port is nobody else's. Throws with the errno's name as
/// `code`.
#[napi(catch_unwind)]
pub fn keep_port(socket: i32) -> Result<(), CodedError> {
    weave_kernel::keep_port(socket).map_err(coded)
}

/// A namespace's identity, which no other ever has again; `'host'` is taken too. Throws with
/// the errno's name as `code`.
#[napi(catch_unwind)]
pub fn netns_id(path: String) -> Result<String, CodedError> {
    weave_kernel::identity(&path).map_err(coded)
}
