//! What is measured: one file a group, each makes its tables.

mod cost;
mod latency;
mod memory;
mod plugins;
mod swap;

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
    /// Memory at full load and under overload.
    Memory,
    /// The cost of single plugins.
    Plugins,
    /// From a file dropped to its generation live.
    Swap,
}

impl Group {
    /// All, in the order of the report.
    pub const ALL: [Self; 6] = [Self::Cost, Self::Matrix, Self::Latency, Self::Memory, Self::Plugins, Self::Swap];

    /// Measures it.
    pub async fn run(self, arguments: &Arguments) -> Result<Vec<Table>> {
        Ok(vec![match self {
            Self::Cost => cost::main(arguments).await?,
            Self::Matrix => cost::matrix(arguments).await?,
            Self::Latency => latency::run(arguments).await?,
            Self::Memory => memory::run(arguments).await?,
            Self::Plugins => plugins::run(arguments).await?,
            Self::Swap => swap::run(arguments).await?,
        }])
    }
}
