//! The one thread that talks to the kernel: two of them doing rtnetlink writes are slower than one.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Receiver, Sender, channel},
    thread::Builder,
};

use crate::{
    background::Background,
    error::{Error, Result},
    netns::Netns,
    site::Sites,
};

/// The namespaces that a worker starts from, and starts again from.
#[derive(Clone)]
pub struct Ground {
    pub host: Netns,
    pub switch: Netns,
}

impl Ground {
    fn open(&self) -> Result<Sites> {
        Sites::open(self.host.clone(), self.switch.clone())
    }
}

/// What a job works with.
pub struct Worker {
    pub sites: Sites,
    pub background: Background,
    ground: Ground,
}

pub type Job = Box<dyn FnOnce(Result<&mut Worker>) + Send>;

impl Worker {
    fn new(ground: &Ground) -> Result<Self> {
        let sites = ground.open()?;
        let background = Background::start(ground.host.clone(), &ground.switch)?;
        // Links that an earlier process retired and did not live to reap.
        background.reap(&ground.switch);
        background.reap(&ground.host);
        Ok(Self {
            sites,
            background,
            ground: ground.clone(),
        })
    }

    /// After a panic: half-read answers may be left in the sockets.
    pub fn renew_if_spoiled(&mut self) {
        if self.sites.is_spoiled()
            && let Ok(sites) = self.ground.open()
        {
            self.sites = sites;
        }
    }
}

/// Starts the thread. It ends when the sender is dropped, after the jobs sent before.
pub fn start(ground: Ground) -> Result<Sender<Job>> {
    let (jobs, inbox) = channel();
    let (ready, started) = channel();
    spawn(inbox, ground, Some(ready))?;
    started
        .recv()
        .unwrap_or_else(|_| Err(Error::panicked("while the worker started")))?;
    Ok(jobs)
}

type Ready = Option<Sender<Result<()>>>;

fn spawn(inbox: Receiver<Job>, ground: Ground, ready: Ready) -> Result<()> {
    let run = move || {
        if !serve(&inbox, &ground, ready) {
            // This thread is stranded in some namespace. Its successor goes home first of all; if no
            // thread can be had, dropping the inbox tells everyone who asks.
            let _ = spawn(inbox, ground, None);
        }
    };
    Builder::new().name("weave-netlink".to_owned()).spawn(run)?;
    Ok(())
}

/// Does jobs until there are no more; false when the thread has become unfit.
fn serve(inbox: &Receiver<Job>, ground: &Ground, ready: Ready) -> bool {
    let mut worker = Worker::new(ground);
    if let Some(ready) = ready {
        let _ = ready.send(worker.as_ref().map(drop).map_err(Clone::clone));
        if worker.is_err() {
            return true;
        }
    }
    while let Ok(job) = inbox.recv() {
        let outcome = contain(|| job(worker.as_mut().map_err(|error| error.clone())));
        let Ok(worker) = &mut worker else {
            return false;
        };
        if outcome.is_err() {
            worker.sites.spoil();
        }
        if worker.sites.is_lost() {
            return false;
        }
        worker.renew_if_spoiled();
    }
    true
}

/// Runs `work`; a panic in it becomes an error.
pub fn contain<T>(work: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| Error::panicked(words(payload.as_ref())))
}

fn words(payload: &(dyn Any + Send)) -> String {
    let words = payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned());
    words.unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::mpsc::Sender};

    use nix::sched::{CloneFlags, unshare};

    use super::*;
    use crate::{netns, op::Op, socket::RouteSocket};

    /// On the test's own thread, in namespaces that end with it.
    fn worker() -> Sender<Job> {
        let fresh = || {
            unshare(CloneFlags::CLONE_NEWNET).expect("these tests need root");
            netns::open(Path::new("/proc/thread-self/ns/net")).unwrap()
        };
        start(Ground {
            host: fresh(),
            switch: fresh(),
        })
        .unwrap()
    }

    fn ask<T: Send + 'static>(
        jobs: &Sender<Job>,
        question: impl FnOnce(&mut Worker) -> T + Send + 'static,
    ) -> T {
        let (reply, answer) = channel();
        let job = move |worker: Result<&mut Worker>| {
            reply.send(question(worker.unwrap())).unwrap();
        };
        jobs.send(Box::new(job)).unwrap();
        answer.recv().unwrap()
    }

    #[test]
    fn a_panicking_job_does_not_end_the_worker() {
        let jobs = worker();
        jobs.send(Box::new(|_| panic!("on purpose"))).unwrap();
        let found = ask(&jobs, |worker| {
            worker.sites.at("switch").unwrap().link("lo")
        });
        assert!(found.unwrap().is_some());
    }

    #[test]
    fn a_panic_inside_another_namespace_comes_home() {
        let jobs = worker();
        let home = ask(&jobs, |_| netns::identity("/proc/thread-self/ns/net"));
        jobs.send(Box::new(|worker| {
            let sites = &mut worker.unwrap().sites;
            let _ = sites.inside("switch", || -> Result<()> { panic!("on purpose") });
        }))
        .unwrap();
        let after = ask(&jobs, |_| netns::identity("/proc/thread-self/ns/net"));
        assert_eq!(home.unwrap(), after.unwrap());
    }

    #[test]
    fn a_stranded_thread_is_replaced() {
        let jobs = worker();
        let before = ask(&jobs, |worker| {
            worker.sites.strand();
            std::thread::current().id()
        });
        let after = ask(&jobs, |_| std::thread::current().id());
        assert_ne!(before, after);
    }

    #[test]
    fn a_panic_in_a_batch_is_that_batchs_failure_and_its_sockets_are_renewed() {
        let jobs = worker();
        let applied = ask(&jobs, |worker| {
            let ops = [Op::DeleteLink {
                netns: "switch".to_owned(),
                name: "absent".to_owned(),
            }];
            RouteSocket::panic_next_on_this_thread();
            crate::apply::apply(&mut worker.sites, &worker.background, &ops)
        });
        let failed = applied.failed.unwrap();
        assert_eq!((failed.index, failed.code.as_str()), (0, "EPANIC"));
        assert!(ask(&jobs, |worker| !worker.sites.is_spoiled()));
    }
}
