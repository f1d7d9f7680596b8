//! System tests: the real binary as a process, between real clients and real or recording back ends.
//!
//! Every test runs through `Setup::run`, which checks both sums of invariant 6 at its end.

mod backlog;
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
mod identity;
mod input;
mod metrics;
mod other_guests;
mod quarantine;
mod real_ends;
mod real_metrics_and_logs;
mod reload;
mod required;
mod scrubbing;
mod shutdown;
mod signals;
