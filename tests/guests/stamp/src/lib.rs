//! Notes its own version on every span. Tests replace the digits in the built file, so that each version is another file.
#![forbid(unsafe_code)]

use tracemill_sdk::prelude::*;

/// What stands in the built file once, and on every span.
const MARK: &str = "stamp-version-0000";

/// No settings are known but a reason to refuse them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    refuse: Option<String>,
}

/// The plugin.
pub struct Stamp {
    version: Target,
}

impl Plugin for Stamp {
    type Settings = Settings;

    fn configure(settings: Settings, plan: &mut PlanBuilder) -> Result<Self, Refusal> {
        if let Some(why) = settings.refuse {
            return Err(Refusal::at("refuse", why));
        }
        Ok(Self { version: plan.writes(attribute("stamp.version")) })
    }

    fn process(&mut self, _: &Batch, edits: &mut Edits) -> Result<(), Refusal> {
        edits.set(self.version, Rows::Every, MARK);
        Ok(())
    }
}

export_plugin!(Stamp);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_span_is_stamped() {
        let mut plugin = testing::plugin::<Stamp>("{}");
        let run = plugin.run([Span::named("a"), Span::named("b")]);
        assert!(!run.is_untouched(0) && !run.is_untouched(1));
    }

    #[test]
    fn settings_are_refused_on_demand() {
        assert!(testing::refusal::<Stamp>(r#"{"refuse": "because"}"#).contains("because"));
    }
}
