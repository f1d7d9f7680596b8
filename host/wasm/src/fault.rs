//! What a failed call is called, in words an author can use: what went wrong, where in the guest, and what it said last.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pipeline::chain::stage::{Fault, FaultKind};
use wasmtime::{Trap, WasmBacktrace};

use crate::host::HostState;
use crate::words::on_one_line;

/// Parts of the names of functions in which Rust guests end, whatever went wrong.
const MACHINERY: [&str; 9] = [
    "__rustc::",
    "alloc::alloc::",
    "alloc::raw_vec::",
    "core::panicking",
    "rust_begin_unwind",
    "std::alloc::",
    "std::panicking",
    "std::process::abort",
    "std::sys::",
];

/// How many frames a message names.
const FRAMES: usize = 5;

/// Bytes of what a guest or the engine says that go into a message.
const WORDS: usize = 2048;

/// Names the error with which wasmtime ended a call.
pub(crate) fn name(error: &wasmtime::Error, state: &mut HostState) -> Fault {
    state.collect_output();
    let refused = state.limiter.take_refused();
    let (kind, mut message) = if let Some(missed) = state.deadline.missed() {
        (FaultKind::Deadline, missed.to_string())
    } else if let Some(refused) = refused {
        (FaultKind::Memory, refused.to_string())
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        (FaultKind::Trap, trap.to_string())
    } else {
        (FaultKind::Trap, short(&error.root_cause().to_string()))
    };
    if let Some(frames) = error.downcast_ref::<WasmBacktrace>().and_then(frames) {
        message.push_str("; in ");
        message.push_str(&frames);
    }
    if let Some(words) = state.journal.last_words() {
        message.push_str("; it said: ");
        message.push_str(&on_one_line(words));
    }
    Fault { kind, message }
}

/// An answer that is an error.
pub(crate) fn answered(message: &str) -> Fault {
    Fault { kind: FaultKind::Error, message: short(message) }
}

/// Runs a guest. A panic of the host's own while it ran is a fault too: no plugin, whatever it does, ends a mill.
pub(crate) fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| Fault {
        kind: FaultKind::Trap,
        message: "the host itself failed while the plugin ran; this is a bug in the host".to_owned(),
    })
}

pub(crate) fn short(text: &str) -> String {
    on_one_line(&text[..text.floor_char_boundary(WORDS)]).into_owned()
}

/// The innermost frames, without the machinery of panics.
fn frames(trace: &WasmBacktrace) -> Option<String> {
    let names: Vec<String> = trace
        .frames()
        .iter()
        .filter_map(wasmtime::FrameInfo::func_name)
        .map(demangled)
        .filter(|name| !is_machinery(name))
        .take(FRAMES)
        .collect();
    (!names.is_empty()).then(|| names.join(" < "))
}

/// A name as its author wrote it, without the compiler's hash.
fn demangled(name: &str) -> String {
    on_one_line(&format!("{:#}", rustc_demangle::demangle(name))).into_owned()
}

fn is_machinery(name: &str) -> bool {
    name == "abort" || MACHINERY.iter().any(|part| name.contains(part))
}
