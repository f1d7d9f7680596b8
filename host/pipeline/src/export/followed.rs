//! Follows the names behind which traces are shared out: where they lead, every so often, for as long as anybody sends there.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::config::{DestinationConfig, Dns, Endpoint, Endpoints};
use super::dial::{Dialer, Network};
use super::members;
use super::reload::State;
use super::{Exports, Inner};

/// How often names are asked for of which nothing is known yet: spans wait for that.
const AT_FIRST: Duration = Duration::from_secs(1);

/// An endpoint, as it is shown, and where its name leads, or why that is not known.
type Answer = (String, Result<Vec<SocketAddr>, String>);

impl Exports {
    /// Follows the names of these destinations, and no others.
    pub(super) fn follow_names(&self, state: &mut State) {
        let State { configs, found, followed, .. } = state;
        let wanted = |config: &&DestinationConfig| {
            members::takes_apart(config)
                && config.endpoints.dns == Dns::All
                && config.endpoints.iter().any(Endpoint::is_named)
        };
        followed.retain(|name, (endpoints, _)| {
            configs.iter().filter(wanted).any(|config| config.name == *name && config.endpoints == *endpoints)
        });
        found.retain(|(name, _), _| configs.iter().filter(wanted).any(|config| config.name == *name));
        for config in configs.iter().filter(wanted) {
            followed.entry(config.name.clone()).or_insert_with(|| {
                let stop = CancellationToken::new();
                let (name, endpoints) = (config.name.clone(), config.endpoints.clone());
                let following = follow(Arc::downgrade(&self.0), name, endpoints, self.0.network.clone());
                drop(self.0.runtime.spawn(stop.clone().run_until_cancelled_owned(following)));
                (config.endpoints.clone(), stop.drop_guard())
            });
        }
    }

    /// Takes note of where a destination's names lead. Waits for files and for who changes something else. Answers whether it is known of any
    /// endpoint where that is.
    fn names_lead(&self, name: &str, endpoints: &Endpoints, answers: Vec<Answer>) -> bool {
        let mut state = self.0.reload.lock();
        // It may have been changed or ended while the answers were on their way.
        let is_followed = state.followed.get(name).is_some_and(|(followed, _)| followed == endpoints);
        if state.has_ended || !is_followed {
            return true;
        }
        let mut found = state.found.clone();
        for (endpoint, answer) in answers {
            match answer {
                Ok(addresses) => drop(found.insert((name.to_owned(), endpoint), addresses)),
                // What was known may still be right.
                Err(error) => self.cannot_resolve(name, &endpoint, &error),
            }
        }
        let names = |found| -> Vec<_> {
            let configs = state.configs.iter().filter(|config| config.name == name);
            let plans = configs.flat_map(|config| members::plans(&members::traces_of(config), found));
            plans.filter_map(|plan| plan.member.map(|member| member.name)).collect()
        };
        let (before, mut now) = (names(&state.found), names(&found));
        let is_known = !now.is_empty();
        let is_same = {
            let mut before = before.clone();
            before.sort_unstable();
            now.sort_unstable();
            before == now
        };
        if is_same {
            return is_known;
        }
        let configs = state.configs.clone();
        match self.apply(&mut state, &configs, &found, Some(name)) {
            Ok(()) => {
                let (come, gone): (Vec<_>, Vec<_>) = (
                    now.iter().filter(|one| !before.contains(one)).collect(),
                    before.iter().filter(|one| !now.contains(one)).collect(),
                );
                tracing::info!(
                    destination = name,
                    endpoints = now.len(),
                    ?come,
                    ?gone,
                    "traces are shared out anew: the endpoints have changed"
                );
                state.found = found;
            }
            // Asked again with the next answer.
            Err(error) => {
                tracing::error!(destination = name, %error, "the endpoints have changed, and those that are new cannot be used");
            }
        }
        is_known
    }

    fn cannot_resolve(&self, name: &str, endpoint: &str, error: &str) {
        tracing::debug!(destination = name, endpoint, error, "cannot resolve the name");
        let set = self.0.current[otlp::signal::Signal::Traces as usize].load();
        for waiting in set.iter().filter(|one| one.name() == name && one.targets().is_none()) {
            waiting.queue().trouble().is(&format!("cannot find {endpoint}: {error}; spans wait until it can be found"));
            if let Some(unsaid) = self.0.unresolved.open() {
                tracing::warn!(
                    destination = name,
                    endpoint,
                    error,
                    unsaid,
                    "cannot resolve the name, and no endpoint is known: spans wait"
                );
            }
        }
    }
}

async fn follow(exports: Weak<Inner>, name: String, endpoints: Endpoints, network: Network) {
    let named = endpoints.iter().filter(|endpoint| endpoint.is_named());
    let dialers: Vec<_> =
        named.map(|endpoint| (endpoint.shown(), Dialer::new(endpoint, None, network.clone()))).collect();
    loop {
        let answers = join_all(dialers.iter().map(async |(shown, dialer)| {
            let answer = dialer.look_up_anew().await.map_err(|error| error.to_string());
            (shown.clone(), answer)
        }));
        let answers = answers.await;
        let Some(exports) = exports.upgrade() else { return };
        let (exports, name, followed) = (Exports(exports), name.clone(), endpoints.clone());
        let noted = tokio::task::spawn_blocking(move || exports.names_lead(&name, &followed, answers));
        let is_known = noted.await.unwrap_or(true);
        let every = endpoints.resolve_every;
        tokio::time::sleep(if is_known { every } else { every.min(AT_FIRST) }).await;
    }
}
