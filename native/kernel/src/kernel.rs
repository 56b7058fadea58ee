//! The handle: opens the switch, hands jobs to the worker, and always answers.

use std::{
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{Sender, channel},
    },
};

use nix::errno::Errno;

use crate::{
    apply, demolish,
    error::{Error, Result},
    netns::{self, HOST_PATH},
    observe,
    observed::Observed,
    op::{Applied, Op, Query},
    pin,
    watch::{Changed, Watch},
    worker::{self, Ground, Job, Worker},
};

/// Where the two namespaces with names of their own are.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file that pins the switch.
    pub switch_path: PathBuf,
    /// What `host` means: the namespace of the process's main thread, unless a test says otherwise.
    pub host_path: PathBuf,
}

impl Settings {
    pub fn new(switch_path: impl Into<PathBuf>) -> Self {
        Self {
            switch_path: switch_path.into(),
            host_path: HOST_PATH.into(),
        }
    }
}

pub struct Kernel {
    opened: Mutex<Option<Opened>>,
    switch_path: PathBuf,
}

/// What goes with closing, namespaces included.
struct Opened {
    jobs: Sender<Job>,
    ground: Ground,
    watch: Option<Watch>,
}

impl Kernel {
    /// Opens the switch pinned at a path, making and pinning it when absent.
    ///
    /// # Errors
    /// Whatever keeps it from being made: EPERM without `CAP_SYS_ADMIN`, EEXIST for a file that is someone's.
    pub fn open(settings: &Settings) -> Result<Self> {
        let host = netns::open(&settings.host_path)?;
        let switch = pin::open(&settings.switch_path, &host)?;
        let ground = Ground { host, switch };
        let opened = Opened {
            jobs: worker::start(ground.clone())?,
            ground,
            watch: None,
        };
        Ok(Self {
            opened: Mutex::new(Some(opened)),
            switch_path: settings.switch_path.clone(),
        })
    }

    /// Tells what changes from now on, gathered, on a thread of its own; until the handle is closed, or this is called
    /// again.
    ///
    /// # Errors
    /// EBADF when the handle is closed, or whatever keeps a thread from being had.
    pub fn watch(&self, tell: impl FnMut(Changed) + Send + 'static) -> Result<()> {
        let mut opened = lock(&self.opened);
        let opened = opened.as_mut().ok_or_else(closed)?;
        opened.watch = Some(Watch::start(&opened.ground, tell)?);
        Ok(())
    }

    /// Applies batches, in the order of the calls, and hands one answer for each to `reply`, on the worker's thread.
    pub fn apply(&self, batches: Vec<Vec<Op>>, reply: impl FnOnce(Vec<Applied>) + Send + 'static) {
        let call = Call {
            inputs: batches,
            refuse: |ops: &Vec<Op>, error| apply::refused(ops, 0, error),
            reply: Some(reply),
        };
        self.submit(Box::new(move |worker| {
            call.run(worker, |worker, ops| {
                apply::apply(&mut worker.sites, &worker.background, ops)
            });
        }));
    }

    /// Reads, in the order of the calls, after what was applied before.
    pub fn observe(&self, queries: Vec<Query>, reply: impl FnOnce(Vec<Observed>) + Send + 'static) {
        let call = Call {
            inputs: queries,
            refuse: |query: &Query, error| observe::unreadable(query, &error),
            reply: Some(reply),
        };
        self.submit(Box::new(move |worker| {
            call.run(worker, |worker, query| {
                observe::observe(&mut worker.sites, query)
            });
        }));
    }

    /// Deletes everything in the switch and unpins it, after the jobs before. The handle is closed by it.
    pub fn destroy(&self, reply: impl FnOnce(Result<()>) + Send + 'static) {
        let path = self.switch_path.clone();
        let job: Job = Box::new(move |worker| {
            reply(worker.and_then(|worker| demolish::demolish(worker, &path)));
        });
        self.submit(job);
        self.close();
    }

    /// Stops the worker after the jobs before. The switch stays.
    pub fn close(&self) {
        *lock(&self.opened) = None;
    }

    /// A job that cannot be handed over is done here, with a refusal for a worker.
    fn submit(&self, job: Job) {
        let opened = lock(&self.opened);
        let unsent = match opened.as_ref() {
            Some(Opened { jobs, .. }) => jobs.send(job).err().map(|error| error.0),
            None => Some(job),
        };
        drop(opened);
        if let Some(job) = unsent {
            job(Err(closed()));
        }
    }

    /// `apply` for callers that can wait.
    #[must_use]
    pub fn apply_and_wait(&self, batches: Vec<Vec<Op>>) -> Vec<Applied> {
        let (reply, answer) = channel();
        self.apply(batches, move |applied| drop(reply.send(applied)));
        answer.recv().unwrap_or_default()
    }

    /// `observe` for callers that can wait.
    #[must_use]
    pub fn observe_and_wait(&self, queries: Vec<Query>) -> Vec<Observed> {
        let (reply, answer) = channel();
        self.observe(queries, move |observed| drop(reply.send(observed)));
        answer.recv().unwrap_or_default()
    }

    /// `destroy` for callers that can wait.
    ///
    /// # Errors
    /// Whatever keeps the pin from being taken away.
    pub fn destroy_and_wait(&self) -> Result<()> {
        let (reply, answer) = channel();
        self.destroy(move |outcome| drop(reply.send(outcome)));
        answer
            .recv()
            .unwrap_or_else(|_| Err(Error::panicked("the worker is gone")))
    }
}

fn closed() -> Error {
    Error::new(Errno::EBADF, "the kernel handle is closed")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call of several inputs with one output each. It replies exactly once, whatever happens to it.
struct Call<I, O, F: FnOnce(Vec<O>)> {
    inputs: Vec<I>,
    refuse: fn(&I, Error) -> O,
    reply: Option<F>,
}

impl<I, O, F: FnOnce(Vec<O>)> Call<I, O, F> {
    fn run(mut self, worker: Result<&mut Worker>, each: impl Fn(&mut Worker, &I) -> O) {
        match worker {
            Ok(worker) => {
                let outputs = self.inputs.iter().map(|input| {
                    worker.renew_if_spoiled();
                    each(worker, input)
                });
                let outputs = outputs.collect();
                if let Some(reply) = self.reply.take() {
                    reply(outputs);
                }
            }
            Err(error) => self.refuse_all(&error),
        }
    }

    fn refuse_all(&mut self, error: &Error) {
        if let Some(reply) = self.reply.take() {
            let refuse = |input| (self.refuse)(input, error.clone());
            reply(self.inputs.iter().map(refuse).collect());
        }
    }
}

/// Dropped without having run, or while unwinding.
impl<I, O, F: FnOnce(Vec<O>)> Drop for Call<I, O, F> {
    fn drop(&mut self) {
        self.refuse_all(&Error::panicked("the worker did not finish this call"));
    }
}
