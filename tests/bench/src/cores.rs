//! One core for the proxy and another for generator and sink, so that neither takes the other's time.
//!
//! A thread's cores are inherited by the threads and processes that it starts. So all of a pinned bench runs on one thread with a
//! runtime of its own, which goes to the proxy's core while it starts the proxy, and comes back.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use tokio::time::Instant;

use crate::usage;

/// Zero means the calling thread.
const THIS_THREAD: Pid = Pid::from_raw(0);
/// From this share of its time on a core has nothing left to give.
const EXHAUSTED: f64 = 0.95;

/// The two cores.
#[derive(Debug, Clone, Copy)]
pub struct Cores {
    proxy: usize,
    bench: usize,
}

/// Runs a bench on a thread of its own that is bound to one core.
pub fn apart<T: Send>(run: impl AsyncFnOnce(Cores) -> Result<T> + Send) -> Result<T> {
    let cores = Cores::find()?;
    let pinned = || {
        bind(cores.bench)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(run(cores))
    };
    std::thread::scope(|scope| scope.spawn(pinned).join()).map_err(|_| anyhow!("the pinned bench panicked"))?
}

impl Cores {
    /// Two that this process may use.
    fn find() -> Result<Self> {
        let allowed = sched_getaffinity(THIS_THREAD)?;
        let mut usable = (0..CpuSet::count()).filter(|&core| allowed.is_set(core).unwrap_or(false));
        let both = usable.next().zip(usable.next());
        let (proxy, bench) = both.context("two cores are needed: one for the proxy, one for generator and sink")?;
        Ok(Self { proxy, bench })
    }

    /// Starts something on the proxy's core, and stays on the other.
    pub async fn start<T>(self, start: impl Future<Output = Result<T>>) -> Result<T> {
        bind(self.proxy)?;
        let started = start.await;
        bind(self.bench)?;
        started
    }

    /// Whether all threads of the process are where they should be.
    pub fn check(self, process: u32) -> Result<()> {
        for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
            let thread = thread?.file_name().to_string_lossy().parse()?;
            let set = sched_getaffinity(Pid::from_raw(thread))?;
            let is_bound = (0..CpuSet::count()).all(|core| set.is_set(core).unwrap_or(false) == (core == self.proxy));
            ensure!(is_bound, "thread {thread} of the proxy may leave its core");
        }
        Ok(())
    }
}

fn bind(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    sched_setaffinity(THIS_THREAD, &set).with_context(|| format!("binding a thread to core {core}"))
}

/// How busy proxy and bench are, from now on.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    since: Instant,
    proxy: u32,
    before: [Duration; 2],
}

/// Shares of a core's time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Busy {
    pub proxy: f64,
    pub bench: f64,
}

impl Watch {
    /// Of this proxy.
    pub fn begin(proxy: u32) -> Result<Self> {
        Ok(Self { since: Instant::now(), proxy, before: Self::used(proxy)? })
    }

    /// Seconds since the beginning.
    pub fn seconds(self) -> f64 {
        self.since.elapsed().as_secs_f64()
    }

    /// Since the beginning.
    pub fn busy(self) -> Result<Busy> {
        let now = Self::used(self.proxy)?;
        let share = |i: usize| now[i].saturating_sub(self.before[i]).as_secs_f64() / self.seconds();
        Ok(Busy { proxy: share(0), bench: share(1) })
    }

    fn used(proxy: u32) -> Result<[Duration; 2]> {
        Ok([usage::cpu(proxy)?, usage::cpu(std::process::id())?])
    }
}

/// Whether generator and sink had nothing left to give, so that what was measured is theirs.
pub fn is_exhausted(share: f64) -> bool {
    share >= EXHAUSTED
}
