//! Does on demand what plugins must not do, as soon as it is shown a span named `trouble`; other spans it marks.
#![forbid(unsafe_code)]

use tracemill_sdk::prelude::*;

/// What it does.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Traps.
    Trap,
    /// Never returns.
    Spin,
    /// Returns an error.
    Fail,
    /// Takes more and more memory.
    Grow,
}

/// What its plan says of spans on which it fails.
#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// They pass.
    #[default]
    Pass,
    /// They are dropped.
    Drop,
    /// They are refused.
    Reject,
}

/// One deed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    deed: Deed,
    #[serde(default)]
    plan_says: Word,
}

/// The plugin.
pub struct Trouble {
    deed: Deed,
    name: Column<Words>,
    mark: Target,
}

impl Plugin for Trouble {
    type Settings = Settings;

    fn configure(settings: Settings, plan: &mut PlanBuilder) -> Result<Self, Refusal> {
        let name = plan.words("name");
        plan.on_error(match settings.plan_says {
            Word::Pass => Failure::Pass,
            Word::Drop => Failure::Drop,
            Word::Reject => Failure::Reject,
        });
        Ok(Self { deed: settings.deed, name, mark: plan.writes(attribute("trouble.seen")) })
    }

    fn process(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Refusal> {
        if !batch.read(self.name).rows_where(|name| name == "trouble").is_none() {
            self.deed.act()?;
        }
        edits.set(self.mark, Rows::Every, true);
        Ok(())
    }
}

impl Deed {
    fn act(self) -> Result<(), Refusal> {
        match self {
            Self::Trap => panic!("a span named trouble"),
            Self::Spin => loop {
                std::hint::black_box(());
            },
            Self::Fail => Err("a span named trouble".into()),
            Self::Grow => {
                let mut taken = Vec::new();
                loop {
                    taken.push(vec![1_u8; 1 << 20]);
                    std::hint::black_box(&taken);
                }
            }
        }
    }
}

export_plugin!(Trouble);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spans_are_marked() {
        let mut plugin = testing::plugin::<Trouble>(r#"{"deed": "fail"}"#);
        let run = plugin.run([Span::named("fine")]);
        assert!(!run.is_untouched(0));
    }
}
