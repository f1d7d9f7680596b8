//! System tests: the real binary as a process, between real clients and real or recording back ends.
//!
//! Tests run through `Setup::run`, which checks at its end that what came in is what was sent, and both sums of invariant 6. Those that end or kill
//! the proxy themselves check the sums.

mod admin;
mod backlog;
mod by_trace;
mod command_line;
mod compiled;
mod crash;
mod destinations;
mod examples;
mod faults;
mod flow;
mod folder;
mod golden;
mod grants;
mod handover;
mod hostile;
mod identity;
mod input;
mod metrics;
mod other_guests;
mod quarantine;
mod real_ends;
mod real_metrics_and_logs;
mod registry;
mod reload;
mod required;
mod samplers;
mod scrubbing;
mod shutdown;
mod signals;
mod signatures;
mod span_metrics;
mod state;
mod tables;
mod trials;
