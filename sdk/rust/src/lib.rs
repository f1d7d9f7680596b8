//! The Rust SDK for tracemill plugins: columns in, edits out; or, for samplers, traces in, decisions out.
//!
//! A plugin is a type with two functions. [`Plugin::configure`] reads the settings and says which columns of a span it
//! wants to see and what it may change. [`Plugin::process`] is given those columns for up to 4,096 spans at a time and
//! returns edits. Nothing else of a span crosses into the sandbox, and spans without edits go on byte for byte.
//!
//! ```
//! use tracemill_sdk::prelude::*;
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     routes: Vec<String>,
//! }
//!
//! struct DropRoutes {
//!     routes: Vec<String>,
//!     route: Column<Words>,
//!     unwanted: Reason,
//! }
//!
//! impl Plugin for DropRoutes {
//!     type Settings = Settings;
//!
//!     fn configure(settings: Settings, plan: &mut PlanBuilder) -> Result<Self, Refusal> {
//!         let route = plan.words(attribute("http.route"));
//!         Ok(Self { routes: settings.routes, route, unwanted: plan.drops("unwanted route") })
//!     }
//!
//!     fn process(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Refusal> {
//!         let routes = batch.read(self.route);
//!         edits.drop(routes.rows_where(|route| self.routes.iter().any(|unwanted| route == *unwanted)), self.unwanted);
//!         Ok(())
//!     }
//! }
//!
//! export_plugin!(DropRoutes);
//!
//! // Under plain `cargo test` the same code runs natively:
//! let mut plugin = testing::plugin::<DropRoutes>(r#"{"routes": ["/internal"]}"#);
//! let run = plugin.run([Span::named("GET /internal").attribute("http.route", "/internal"), Span::named("GET /users")]);
//! assert_eq!(run.dropped_because(0), Some("unwanted route"));
//! assert!(run.is_untouched(1));
//! ```
//!
//! | module | what it owns |
//! | --- | --- |
//! | [`plan`] | what a plugin declares: columns, reads, writes, conditions, affinity |
//! | [`batch`], [`layout`] | reading columns, row by row or column by column |
//! | [`rows`], [`edits`] | choosing rows and changing them |
//! | [`sampler`] | samplers: whole traces in, decisions out |
//! | [`host`], [`state`] | what the host offers: log, counters, time, shared state |
//! | [`tables`] | what the operator's lookup tables have for many keys at once |
//! | [`settings`], [`pattern`] | parsing settings, with errors that name the key; texts with `*` |
//! | `testing` | the native harness (not built for WebAssembly) |

pub mod batch;
pub mod bindings;
pub mod edits;
pub mod host;
pub mod layout;
pub mod path;
pub mod pattern;
pub mod plan;
pub mod plugin;
pub mod prelude;
pub mod rows;
pub mod sampler;
pub mod settings;
pub mod state;
pub mod tables;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod when;

pub use batch::{Batch, Row};
pub use edits::{Edits, Rewrites, RowEdits};
pub use plan::{Column, PlanBuilder, Reason, Source, Target};
pub use plugin::{Plugin, Refusal};
pub use rows::{Mask, Rows};
pub use sampler::{Decisions, Sampler, SamplerPlanBuilder, Traces};

/// Makes a type that implements [`Plugin`] the plugin that this crate exports. Use it once, in a crate of type `cdylib`.
///
/// Outside WebAssembly it exports nothing and only checks that the type is a plugin.
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            $crate::__version_section!();
            ::std::thread_local! {
                static SLOT: $crate::plugin::Slot<$plugin> = const { $crate::plugin::Slot::empty() };
            }
            struct Exported;
            impl $crate::bindings::exports::tracemill::plugin::processor::Guest for Exported {
                fn configure(settings: String) -> Result<$crate::bindings::types::Plan, String> {
                    SLOT.with(|slot| slot.configure(&settings))
                }
                fn process(
                    rows: u32,
                    columns: Vec<$crate::bindings::types::Column>,
                ) -> Result<Vec<$crate::bindings::types::Edit>, String> {
                    SLOT.with(|slot| slot.process(rows, &columns))
                }
            }
    $crate::bindings::export!(Exported with_types_in $crate::bindings);
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            const fn is_a_plugin<P: $crate::Plugin>() {}
            is_a_plugin::<$plugin>()
        };
    };
}

/// Makes a type that implements [`Sampler`] the sampler that this crate exports. Use it once, in a crate of type `cdylib`.
///
/// Outside WebAssembly it exports nothing and only checks that the type is a sampler.
#[macro_export]
macro_rules! export_sampler {
    ($sampler:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            $crate::__version_section!();
            ::std::thread_local! {
                static SLOT: $crate::sampler::Slot<$sampler> = const { $crate::sampler::Slot::empty() };
            }
            struct Exported;
            impl $crate::bindings::sampler::exports::tracemill::plugin::sampler::Guest for Exported {
                fn configure(settings: String) -> Result<$crate::bindings::sampler::contract::SamplerPlan, String> {
                    SLOT.with(|slot| slot.configure(&settings))
                }
                fn decide(
                    traces: $crate::bindings::sampler::contract::Traces,
                    columns: Vec<$crate::bindings::types::Column>,
                ) -> Result<$crate::bindings::sampler::contract::Decisions, String> {
                    SLOT.with(|slot| slot.decide(&traces, &columns))
                }
            }
    $crate::bindings::sampler::export!(Exported with_types_in $crate::bindings::sampler);
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            const fn is_a_sampler<S: $crate::Sampler>() {}
            is_a_sampler::<$sampler>()
        };
    };
}

/// The custom section `version` of the tool conventions: shown beside the content's hash wherever the plugin is.
#[doc(hidden)]
#[macro_export]
macro_rules! __version_section {
    () => {
        const TEXT: &[u8] = ::core::env!("CARGO_PKG_VERSION").as_bytes();
        #[used]
        #[unsafe(link_section = "version")]
        static VERSION: [u8; TEXT.len()] = match TEXT.first_chunk() {
            ::core::option::Option::Some(text) => *text,
            ::core::option::Option::None => ::core::panic!("a text is as long as itself"),
        };
    };
}

/// The README's plugin is compiled and tested with the rest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
