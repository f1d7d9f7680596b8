//! What is measured: one file a group, each makes its tables.

mod call;
mod cost;
mod durable;
mod latency;
mod memory;
mod packing;
mod plugins;
mod shadow;
mod swap;
mod swaps;
mod tail;
mod tls;

use anyhow::Result;
use clap::ValueEnum;

use crate::Arguments;
use crate::report::Table;

/// A group of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Group {
    /// CPU per span, side by side.
    Cost,
    /// CPU per span over span sizes and request sizes.
    Matrix,
    /// Latency of requests at a set pace.
    Latency,
    /// Memory at full load, under overload, with thousands of connections and a back end that stalls.
    Memory,
    /// Queues on disk: throughput, latency, a backlog.
    Durable,
    /// Tail sampling: CPU, memory, the highest rate, and what the trace buffer costs by itself.
    Tail,
    /// How the spans of traces that wait are packed.
    Packing,
    /// What TLS costs.
    Tls,
    /// The cost of single plugins.
    Plugins,
    /// What a version in the shadow costs.
    Shadow,
    /// From a file dropped to its generation live.
    Swap,
    /// Latency of requests while plugins are swapped.
    Swaps,
    /// What a call of a plugin costs, with and without a deadline.
    Call,
}

impl Group {
    /// All, in the order of the report.
    pub const ALL: [Self; 13] = [
        Self::Cost,
        Self::Matrix,
        Self::Latency,
        Self::Memory,
        Self::Durable,
        Self::Tail,
        Self::Packing,
        Self::Tls,
        Self::Plugins,
        Self::Shadow,
        Self::Swap,
        Self::Swaps,
        Self::Call,
    ];

    /// Measures it.
    pub async fn run(self, arguments: &Arguments) -> Result<Vec<Table>> {
        Ok(vec![match self {
            Self::Tail => return tail::run(arguments),
            Self::Cost => cost::main(arguments).await?,
            Self::Matrix => cost::matrix(arguments).await?,
            Self::Latency => latency::run(arguments)?,
            Self::Memory => memory::run(arguments).await?,
            Self::Durable => durable::run(arguments)?,
            Self::Packing => packing::run(arguments).await?,
            Self::Tls => tls::run(arguments).await?,
            Self::Plugins => plugins::run(arguments).await?,
            Self::Shadow => shadow::run(arguments).await?,
            Self::Swap => swap::run(arguments).await?,
            Self::Swaps => swaps::run(arguments)?,
            Self::Call => call::run(arguments)?,
        }])
    }
}
