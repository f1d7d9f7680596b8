//! Samples spans consistently by trace: at rates by service, route or attribute, with errors and slow spans always kept.
//!
//! In the modes `equalizing` and `proportional` the host decides from the trace's randomness and writes `ot=th`, so
//! that every sampler along the way agrees and counts can be adjusted. The mode `hash_seed` decides as the
//! OpenTelemetry Collector's probabilistic sampler does.

mod collector;
mod rates;
mod rules;
pub mod settings;

pub use settings::Settings;

use collector::HashSeed;
use rules::Rules;
use settings::Mode;
use tracemill_sdk::prelude::*;

/// The plugin.
pub struct Sample {
    rules: Rules,
    errors: Option<Column<Integers>>,
    slow: Option<(Column<Integers>, i64)>,
    how: How,
    reason: Reason,
}

/// How the decision is made.
enum How {
    /// By the host, from the trace's randomness.
    Consistent(Sampling),
    /// By a hash of the trace id.
    HashSeed(HashSeed),
}

impl Plugin for Sample {
    type Settings = Settings;

    fn configure(settings: Settings, plan: &mut PlanBuilder) -> Result<Self, Refusal> {
        let reason = plan.drops("sampled away");
        let how = match settings.mode {
            Mode::Equalizing => How::Consistent(Sampling::Equalizing),
            Mode::Proportional => How::Consistent(Sampling::Proportional),
            Mode::HashSeed => How::HashSeed(HashSeed::configure(&settings, plan)),
        };
        settings.check()?;
        let rules = Rules::configure(settings.rate, settings.rules, plan)?;
        if rules.keep_everything() {
            host::log(Level::Warn, "every rate is 1, so nothing is sampled away; set settings.rate");
        }
        // The Collector keeps errors only by chance, so its mode does too unless it is told otherwise.
        let keep_errors = settings.keep.errors.unwrap_or(settings.mode != Mode::HashSeed);
        let errors = keep_errors.then(|| plan.integers("status.code"));
        let slow = settings
            .keep
            .slower_than
            .map(|limit| (plan.integers("duration"), i64::try_from(limit.nanoseconds).unwrap_or(i64::MAX)));
        Ok(Self { rules, errors, slow, how, reason })
    }

    fn process(&mut self, batch: &Batch<'_>, edits: &mut Edits<'_>) -> Result<(), Refusal> {
        if self.rules.keep_everything() && matches!(self.how, How::Consistent(_)) {
            return Ok(());
        }
        let kept = self.always_kept(batch);
        match &mut self.how {
            How::Consistent(how) => {
                for (rows, rate) in self.rules.rows_by_rate(batch, kept.as_ref()) {
                    edits.sample(rows, rate, *how, self.reason);
                }
                // Kept whatever their trace: as a proportion of 1, which keeps the weight they came with.
                if let Some(kept) = kept {
                    edits.sample(kept, 1.0, *how, self.reason);
                }
            }
            How::HashSeed(collector) => {
                let dropped = collector.dropped(batch, &self.rules, kept.as_ref());
                // As sampling, so that whoever counts spans still counts them. What is kept is not touched.
                edits.sample(dropped, 0.0, Sampling::Proportional, self.reason);
            }
        }
        Ok(())
    }
}

impl Sample {
    /// Errors and slow spans; none if there are none in this batch.
    fn always_kept(&self, batch: &Batch<'_>) -> Option<Mask> {
        let mut kept: Option<Mask> = None;
        let mut keep = |row| kept.get_or_insert_with(|| Mask::none(batch.rows())).set(row);
        if let Some(errors) = self.errors {
            batch.read(errors).for_each_where(|code| code == STATUS_ERROR, &mut keep);
        }
        if let Some((durations, limit)) = self.slow {
            batch.read(durations).for_each_where(|duration| duration > limit, &mut keep);
        }
        kept
    }
}

/// OTLP's `STATUS_CODE_ERROR`.
const STATUS_ERROR: i64 = 2;

export_plugin!(Sample);
