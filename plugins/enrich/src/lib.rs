//! Sets, copies, renames and removes attributes; tidies span names and brings old attribute names up to date.
//!
//! Constants, copies, renames and removals need no column: the host does them, and nothing of a span crosses into the
//! plugin. Columns are read only for values by service or from lookup tables, for span names, and for old attributes that depend on
//! others.

mod changes;
mod conventions;
mod lookups;
mod names;
mod services;
mod settings;

pub use names::tidy;
pub use settings::Settings;

use changes::Changes;
use conventions::Conventions;
use lookups::Lookups;
use names::Names;
use services::Services;
use tracemill_sdk::prelude::*;

/// The plugin.
pub struct Enrich {
    conventions: Option<Conventions>,
    changes: Changes,
    services: Option<Services>,
    lookups: Lookups,
    names: Option<Names>,
}

impl Plugin for Enrich {
    type Settings = Settings;

    fn configure(settings: Settings, plan: &mut PlanBuilder) -> Result<Self, Refusal> {
        if settings.is_empty() {
            host::log(Level::Warn, "the settings name nothing to change, so every span passes as it is");
        }
        let mode = if settings.overwrite { Mode::Upsert } else { Mode::Insert };
        Ok(Self {
            conventions: settings.semantic_conventions.then(|| Conventions::configure(plan)),
            services: Services::configure(&settings.services, mode, plan)?,
            lookups: Lookups::configure(&settings.lookups, mode, plan)?,
            names: settings.span_names.then(|| Names::configure(plan)),
            changes: Changes::configure(&settings, mode, plan)?,
        })
    }

    fn process(&mut self, batch: &Batch<'_>, edits: &mut Edits<'_>) -> Result<(), Refusal> {
        if let Some(conventions) = &self.conventions {
            conventions.apply(batch, edits);
        }
        self.changes.apply(edits);
        if let Some(services) = &self.services {
            services.apply(batch, edits);
        }
        self.lookups.apply(batch, edits);
        self.changes.remove(edits);
        if let Some(names) = &self.names {
            names.apply(batch, edits);
        }
        Ok(())
    }
}

export_plugin!(Enrich);
