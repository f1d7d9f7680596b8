//! Marks slow spans: `slow: true` on each that took longer than its service may.

use std::collections::BTreeMap;
use tracemill_sdk::prelude::*;
use tracemill_sdk::settings::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    over: Duration,
    #[serde(default)]
    services: BTreeMap<String, Duration>,
}

pub struct MarkSlow {
    settings: Settings,
    took: Column<Integers>,
    service: Option<Column<Words>>,
    slow: Target,
}

impl Plugin for MarkSlow {
    type Settings = Settings;

    fn configure(settings: Settings, plan: &mut PlanBuilder) -> Result<Self, Refusal> {
        if settings.over.nanoseconds == 0 {
            return Err(Refusal::at("over", "no span takes less than nothing"));
        }
        let took = plan.integers("duration");
        // What is not asked for costs nothing.
        let service = (!settings.services.is_empty()).then(|| plan.words(resource_attribute("service.name")));
        Ok(Self { settings, took, service, slow: plan.writes(attribute("slow")) })
    }

    fn process(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Refusal> {
        for row in batch {
            let service = self.service.and_then(|column| row.get(column));
            let own =
                self.settings.services.iter().find(|(name, _)| service.is_some_and(|service| service == name.as_str()));
            let limit = own.map_or(self.settings.over, |(_, limit)| *limit);
            if row.get(self.took).is_some_and(|took| took.unsigned_abs() > limit.nanoseconds) {
                edits.row(row.number()).set(self.slow, true);
            }
        }
        Ok(())
    }
}

export_plugin!(MarkSlow);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_took_longer_than_its_service_may_is_marked() {
        let mut plugin = testing::plugin::<MarkSlow>(r#"{"over": "1s", "services": {"batch": "1m"}}"#);
        let span = |service: &str, seconds: u64| Span::named("a").service(service).lasting(seconds * 1_000_000_000);
        let run = plugin.run([span("front", 1), span("front", 2), span("batch", 2), span("batch", 61)]);
        assert_eq!([0, 1, 2, 3].map(|row| run.is_untouched(row)), [true, false, true, false]);
    }

    #[test]
    fn a_limit_of_nothing_is_refused() {
        assert!(testing::refusal::<MarkSlow>(r#"{"over": "0s"}"#).contains("over"));
    }
}
