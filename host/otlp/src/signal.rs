//! What OTLP carries, signal by signal: what its items are called, and where in a request they stand. Knows no more of metrics
//! and logs than it takes to count them and to cut between them.

use crate::wire::{Reader, Slice, WireError};

/// What a request carries: one kind of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Data points of metrics.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// All of them. Their places here are their numbers: `signal as usize`.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// Its name in configurations, labels and paths.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// What it is counted in, as names of metrics have it: the words of OpenTelemetry's Collector.
    #[must_use]
    pub fn items(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Metrics => "metric_points",
            Self::Logs => "log_records",
        }
    }

    /// The fields that lead from a request to its items, one level of messages after another. They are also what a request can
    /// be cut into.
    #[must_use]
    pub fn levels(self) -> &'static [&'static [u32]] {
        match self {
            // `ResourceSpans`, `ScopeSpans`, `Span`; `ResourceLogs`, `ScopeLogs`, `LogRecord`.
            Self::Traces | Self::Logs => &[&[1], &[2], &[2]],
            // `ResourceMetrics`, `ScopeMetrics`, `Metric`, its `Gauge`, `Sum` or other kind of data, and their data points.
            Self::Metrics => &[&[1], &[2], &[2], &[5, 7, 9, 10, 11], &[1]],
        }
    }

    /// Counts the items of a request. Checks the framing of all that leads to them, and of their own fields; what these hold is
    /// not looked at.
    pub fn count(self, request: &[u8]) -> Result<u32, WireError> {
        let whole = Slice { at: 0, len: u32::try_from(request.len()).unwrap_or(u32::MAX) };
        self.walk(request, whole, 0, &|item| {
            let mut reader = Reader::within(request, item);
            while reader.next()?.is_some() {}
            Ok(())
        })
    }

    /// Counts the items of a message that so many levels lead to, 0 for the request itself. Does not look into the items.
    pub fn count_within(self, request: &[u8], message: Slice, depth: usize) -> Result<u32, WireError> {
        self.walk(request, message, depth, &|_| Ok(()))
    }

    fn walk(
        self,
        request: &[u8],
        message: Slice,
        depth: usize,
        check: &impl Fn(Slice) -> Result<(), WireError>,
    ) -> Result<u32, WireError> {
        let Some(elements) = self.levels().get(depth) else { return check(message).map(|()| 1) };
        let mut reader = Reader::within(request, message);
        let mut sum = 0;
        while let Some(field) = reader.next()? {
            if elements.contains(&field.number) {
                sum += self.walk(request, field.bytes()?, depth + 1, check)?;
            }
        }
        Ok(sum)
    }
}

impl std::fmt::Display for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
