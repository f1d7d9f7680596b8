//! The empty shell of WASI, for guests whose runtimes insist on it: no files, environment, arguments, network or waiting;
//! stdin is closed, and what goes to stdout and stderr joins the plugin's log.
//!
//! Invariant: nothing here blocks. A deadline cannot end a host call that waits, so waiting is not linked: everything is
//! always ready.

use std::sync::Arc;

use parking_lot::Mutex;
use tracing::Level;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::p2::bindings::sync::{io, sockets};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::host::HostState;
use crate::journal::Journal;

mod never_waits;
mod output;

use never_waits::{Denied, NeverWaits};
use output::{Buffer, Captured};

/// The interfaces of the shell, without their versions: `wasi:cli/environment`.
pub(crate) const INTERFACES: [&str; 27] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/tcp",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// Streams and other handles that an instance may hold.
const HANDLES: usize = 1024;

/// Random bytes that it may ask for at once.
const RANDOM: u64 = 1 << 20;

/// What WASI keeps for one instance.
pub(crate) struct Shell {
    context: WasiCtx,
    table: ResourceTable,
    stdout: Buffer,
    stderr: Buffer,
}

impl Shell {
    /// A shell that keeps `bytes` of what is written to stdout, and as many of stderr.
    pub(crate) fn new(bytes: usize) -> Self {
        let buffer = || Arc::new(Mutex::new(output::Pending::new(bytes)));
        let (stdout, stderr) = (buffer(), buffer());
        let context = WasiCtx::builder()
            .stdout(Captured::new(&stdout))
            .stderr(Captured::new(&stderr))
            .max_random_size(RANDOM)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self { context, table, stdout, stderr }
    }

    /// Hands what was written to the journal, line by line.
    pub(crate) fn collect(&mut self, journal: &mut Journal) {
        for (buffer, level) in [(&self.stdout, Level::INFO), (&self.stderr, Level::ERROR)] {
            let lost = buffer.lock().drain(|line| journal.log(level, line));
            journal.lost(lost);
        }
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let shell = self.shell.as_deref_mut().expect("WASI is linked only for instances that have a shell");
        WasiCtxView { ctx: &mut shell.context, table: &mut shell.table }
    }
}

/// Links the shell over what wasmtime's own implementation offers.
pub(crate) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    linker.allow_shadowing(true);
    io::poll::add_to_linker::<_, Streams>(linker, |state| NeverWaits(WasiView::ctx(state).table))?;
    io::streams::add_to_linker::<_, Streams>(linker, |state| NeverWaits(WasiView::ctx(state).table))?;
    sockets::udp_create_socket::add_to_linker::<_, NoNetwork>(linker, |_| Denied)?;
    linker.allow_shadowing(false);
    Ok(())
}

struct Streams;

impl HasData for Streams {
    type Data<'a> = NeverWaits<'a>;
}

struct NoNetwork;

impl HasData for NoNetwork {
    type Data<'a> = Denied;
}
