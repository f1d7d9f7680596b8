//! One core for the proxy and another for generator and sink, so that neither takes the other's time.
//!
//! A thread's cores are inherited by the threads and processes that it starts. So all of a pinned bench runs on one thread with a
//! runtime of its own, which goes to the proxy's core while it starts the proxy, and comes back.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
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

/// How busy the two cores are, from now on.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    since: Instant,
    cores: Cores,
    before: [Ticks; 2],
    own: Duration,
}

/// Shares of a core's time.
#[derive(Debug, Clone, Copy)]
pub struct Busy {
    /// In which the proxy's core had something to do.
    pub proxy: f64,
    /// In which the other one had.
    pub bench: f64,
    /// Which generator and sink took.
    own: f64,
}

impl Busy {
    /// Whether generator and sink had nothing left to give, so that what was measured is theirs. A core that others keep busy says
    /// nothing of that kind.
    pub fn is_bench_exhausted(self) -> bool {
        self.bench >= EXHAUSTED && self.own >= EXHAUSTED / 2.0
    }
}

impl Watch {
    /// Of these cores.
    pub fn begin(cores: Cores) -> Result<Self> {
        Ok(Self { since: Instant::now(), cores, before: Ticks::of(cores)?, own: usage::cpu(std::process::id())? })
    }

    /// Seconds since the beginning.
    pub fn seconds(self) -> f64 {
        self.since.elapsed().as_secs_f64()
    }

    /// Since the beginning.
    pub fn busy(self) -> Result<Busy> {
        let now = Ticks::of(self.cores)?;
        let share = |i: usize| {
            let all = now[i].all.saturating_sub(self.before[i].all).max(1);
            1.0 - now[i].idle.saturating_sub(self.before[i].idle) as f64 / all as f64
        };
        let own = usage::cpu(std::process::id())?.saturating_sub(self.own);
        Ok(Busy { proxy: share(0), bench: share(1), own: own.as_secs_f64() / self.seconds() })
    }
}

/// What a core has done, as the kernel counts it. The time of processes alone leaves out what the kernel does for their
/// connections between two of their turns.
#[derive(Debug, Clone, Copy)]
struct Ticks {
    all: u64,
    idle: u64,
}

impl Ticks {
    fn of(cores: Cores) -> Result<[Self; 2]> {
        let stat = std::fs::read_to_string("/proc/stat").context("reading what the cores have done")?;
        Ok([Self::read(&stat, cores.proxy)?, Self::read(&stat, cores.bench)?])
    }

    fn read(stat: &str, core: usize) -> Result<Self> {
        let name = format!("cpu{core} ");
        let line = stat.lines().find_map(|line| line.strip_prefix(&name)).with_context(|| format!("no {name}"))?;
        let ticks: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        // user, nice, system, idle, iowait, irq, softirq, steal; what guests got is in user and nice too.
        let [_, _, _, idle, waiting, ..] = ticks[..] else { bail!("no idle time in {line}") };
        Ok(Self { all: ticks.iter().take(8).sum(), idle: idle + waiting })
    }
}
