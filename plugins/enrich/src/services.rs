//! Values by service: each distinct `service.name` of a batch is judged once.

use tracemill_sdk::prelude::*;

use crate::changes::Constants;
use crate::settings::ServiceRule;

/// Services with what is set on their spans.
pub struct Services {
    names: Column<Words>,
    rules: Vec<(Pattern, Constants)>,
}

impl Services {
    /// Declares the services of the settings; none without any.
    pub fn configure(services: &[ServiceRule], mode: Mode, plan: &mut PlanBuilder) -> Result<Option<Self>, Refusal> {
        if services.is_empty() {
            return Ok(None);
        }
        let empty = services.iter().position(|service| service.resource.is_empty() && service.attributes.is_empty());
        if let Some(index) = empty {
            return Err(Refusal::at(&format!("services[{index}]"), "sets nothing; name `resource` or `attributes`"));
        }
        let names = plan.words(resource_attribute("service.name"));
        let rules = services.iter().map(|service| {
            let constants = Constants::configure(&service.resource, &service.attributes, mode, plan);
            (service.service.clone(), constants)
        });
        Ok(Some(Self { names, rules: rules.collect() }))
    }

    /// Sets the values of every rule that fits, in the order of the settings.
    pub fn apply(&self, batch: &Batch<'_>, edits: &mut Edits<'_>) {
        let names = batch.read(self.names);
        for (pattern, constants) in &self.rules {
            let rows = names.rows_where(|name| pattern.matches(name));
            if !rows.is_none() {
                constants.apply(&rows, edits);
            }
        }
    }
}
