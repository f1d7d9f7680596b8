//! The plugin folder: the folder is the chain.
//!
//! The life of a swap: [`watch`](crate::watch) hints; [`scan`] looks, waits until files have [`settle`]d, and hashes them;
//! [`plan`] says what is to be done; [`make`] has it done by [`load`]; [`folder`] publishes, and records in [`status`]. A version may be
//! tried before it counts, as [`trying`] says; each has its [`version`] record in the [`history`], and what the folder no longer holds stands on the [`shelf`].

pub mod again;
pub mod digest;
pub mod folder;
pub mod grants;
pub mod history;
pub mod inspect;
pub mod load;
pub mod make;
pub mod name;
pub mod oci;
pub mod plan;
pub mod probe;
pub mod role;
pub mod scan;
pub mod settle;
pub mod shelf;
pub mod sidecar;
pub mod signature;
mod slot;
mod slots;
pub mod status;
pub mod took;
pub mod trying;
pub mod version;
