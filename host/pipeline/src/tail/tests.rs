//! The buffer as a whole, with samplers in Rust, a clock that the tests set, and an outlet that keeps what it is given. Its workers take their turns when
//! they are told to.

mod durable;
mod gone;
mod memory;
mod rig;
mod samplers;
mod simulation;
