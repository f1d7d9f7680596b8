//! Drops the spans of health checks, by route, path, name or user agent.
//!
//! Everything is judged in the host by the plan's conditions: a batch without a health check never enters the plugin,
//! and what enters it is dropped. So the plugin needs no column at all.

mod defaults;
mod pattern;
mod settings;

pub use settings::Settings;

use pattern::Patterns;
use tracemill_sdk::prelude::*;

/// The plugin.
pub struct DropHealth {
    health_check: Reason,
}

impl Plugin for DropHealth {
    type Settings = Settings;

    fn configure(settings: Settings, plan: &mut PlanBuilder) -> Result<Self, Refusal> {
        let wanted = settings.complete()?;
        let routes = Patterns::of(&wanted.routes).with_slash();
        let paths = Patterns::of(&wanted.paths).with_slash();
        let names = Patterns::of(&wanted.names);
        let agents = Patterns::of(&wanted.user_agents);
        let services = Patterns::of(&wanted.rpc_services);
        let conditions = [
            routes.on(&attribute("http.route")),
            // The attributes of current and older semantic conventions; the old one holds the query too.
            paths.on(&attribute("url.path")),
            paths.with_query().on(&attribute("http.target")),
            agents.on(&attribute("user_agent.original")),
            agents.on(&attribute("http.user_agent")),
            services.on(&attribute("rpc.service")),
            names.on("name"),
            services.as_name_prefixes().on("name"),
        ];
        for condition in conditions.into_iter().flatten() {
            plan.when([condition]);
        }
        if let Some(expression) = paths.as_url_expression().filter(|_| wanted.urls) {
            plan.when([when(attribute("url.full")).matches(expression.clone())]);
            plan.when([when(attribute("http.url")).matches(expression)]);
        }
        Ok(Self { health_check: plan.drops("health check") })
    }

    fn process(&mut self, _batch: &Batch<'_>, edits: &mut Edits<'_>) -> Result<(), Refusal> {
        edits.drop(Rows::Every, self.health_check);
        Ok(())
    }
}

export_plugin!(DropHealth);
