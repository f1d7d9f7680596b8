//! Counts spans in the plugin's state, and writes on each how many there have been: what stays when the plugin is replaced.
#![forbid(unsafe_code)]

use tracemill_sdk::prelude::*;

/// Where it writes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The attribute that gets the count.
    attribute: String,
}

/// The plugin.
pub struct Tally {
    count: Target,
}

impl Plugin for Tally {
    type Settings = Settings;

    fn configure(settings: Settings, plan: &mut PlanBuilder) -> Result<Self, Refusal> {
        Ok(Self { count: plan.writes(attribute(&settings.attribute)) })
    }

    fn process(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Refusal> {
        let count = state::add("spans", i64::from(batch.rows()))?;
        edits.set(self.count, Rows::Every, count);
        Ok(())
    }
}

export_plugin!(Tally);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_from_call_to_call() {
        let mut plugin = testing::plugin::<Tally>(r#"{"attribute": "count"}"#);
        for expected in [2, 4] {
            let run = plugin.run([Span::named("a"), Span::named("b")]);
            let span = run.span(1).expect("it goes on");
            assert_eq!(span.attributes.get("count"), Some(&testing::Value::Integer(expected)));
        }
    }
}
