//! The plugin's settings, and what becomes of them together with the defaults.

use serde::Deserialize;
use tracemill_sdk::Refusal;

use crate::defaults::{ENDPOINTS, METHODS, RPC_SERVICES, USER_AGENTS};

/// What to drop. In every pattern `*` stands for any text; the lists add to the defaults unless these are turned off.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether the usual health checks are dropped. Default: true.
    pub defaults: bool,
    /// Patterns of `http.route`.
    pub routes: Vec<String>,
    /// Patterns of `url.path`, or of `http.target` without its query.
    pub paths: Vec<String>,
    /// Patterns of the span's name.
    pub names: Vec<String>,
    /// Patterns of `user_agent.original` and `http.user_agent`.
    pub user_agents: Vec<String>,
    /// Patterns of `rpc.service`; without `*`, also of the beginning of the span's name.
    pub rpc_services: Vec<String>,
    /// Whether `paths` are looked for in `url.full` and `http.url` too, which client spans have. Costs a regular
    /// expression for each such span. Default: false.
    pub urls: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            defaults: true,
            routes: Vec::new(),
            paths: Vec::new(),
            names: Vec::new(),
            user_agents: Vec::new(),
            rpc_services: Vec::new(),
            urls: false,
        }
    }
}

impl Settings {
    /// The settings with the defaults added.
    pub(crate) fn complete(mut self) -> Result<Self, Refusal> {
        if self.defaults {
            let endpoints = || ENDPOINTS.iter().map(|&endpoint| endpoint.to_owned());
            let named =
                METHODS.iter().flat_map(|method| ENDPOINTS.iter().map(move |endpoint| format!("{method}{endpoint}")));
            self.routes.extend(endpoints());
            self.paths.extend(endpoints());
            self.names.extend(endpoints().chain(named));
            self.user_agents.extend(USER_AGENTS.map(str::to_owned));
            self.rpc_services.extend(RPC_SERVICES.map(str::to_owned));
        }
        let lists = [
            ("routes", &self.routes),
            ("paths", &self.paths),
            ("names", &self.names),
            ("user_agents", &self.user_agents),
            ("rpc_services", &self.rpc_services),
        ];
        for (key, list) in lists {
            if let Some(index) = list.iter().position(|pattern| pattern.chars().all(|character| character == '*')) {
                return Err(Refusal::at(
                    &format!("{key}[{index}]"),
                    "an empty pattern or `*` alone would drop every span",
                ));
            }
        }
        if lists.iter().all(|(_, list)| list.is_empty()) {
            return Err("settings: the defaults are off and no list has a pattern, so nothing would be dropped".into());
        }
        Ok(self)
    }
}
