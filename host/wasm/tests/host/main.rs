//! The plugin host with real guests: `tests/guests/probe` does what its settings say, well or badly.
#![forbid(unsafe_code)]

mod calls;
mod contract;
mod effects;
mod guests;
mod handover;
mod hostile;
mod lifetime;
mod loading;
mod plans;
mod samplers;
mod setup;
mod shell;
mod tables;
mod versions;
mod wild;
