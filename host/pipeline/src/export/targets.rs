//! All places that a destination's requests may go to, and which of them gets the next: the configured endpoints, or what their
//! names lead to now.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::config::{Balance, Dns, Protocol, RetryConfig};
use super::dial::{Dialer, Network};
use super::members::Plan;
use super::metrics::Metrics;
use super::secrets::Secrets;
use super::status::Trouble;
use super::target::{Resting, Site, Target};
use super::tls::{self, Material};
use super::wire::Template;
use crate::tls::TlsError;

/// The targets of one destination.
pub(super) struct Targets {
    destination: String,
    sites: Vec<Arc<Site>>,
    /// Whether it is one address alone, behind a name that others follow.
    is_fixed: bool,
    /// Never empty; those of one site stand together, and sites in the order of the configuration.
    current: ArcSwap<Vec<Arc<Target>>>,
    balance: Balance,
    dns: Dns,
    connections: usize,
    retry: RetryConfig,
    /// How long an attempt may take.
    timeout: Duration,
    /// Whose turn it is.
    next: AtomicUsize,
    /// Tells those who wait for any target that one answers again.
    news: Notify,
}

/// Where a request goes.
pub(super) enum Choice {
    /// There, now.
    Try { target: Arc<Target>, is_only: bool },
    /// Nowhere yet.
    Wait(Resting),
}

impl Targets {
    /// Those that the configuration names, or the one that is planned for.
    pub fn new(
        plan: &Plan,
        material: &Material,
        secrets: &Arc<Secrets>,
        network: &Network,
        metrics: &Metrics,
    ) -> Result<Arc<Self>, TlsError> {
        let Plan { config, member, .. } = plan;
        let mut sites = Vec::with_capacity(config.endpoints.iter().len());
        for endpoint in config.endpoints.iter() {
            let tls = tls::client(&config.tls, endpoint, material)?.map(Arc::new);
            let name = member.as_ref().map_or_else(|| endpoint.shown(), |member| member.name.clone());
            sites.push(Arc::new(Site {
                template: Template::new(config, endpoint, Arc::clone(secrets)),
                dialer: Arc::new(Dialer::new(endpoint, tls, network.clone())),
                counters: metrics.of_endpoint(&config.name, &name),
                trouble: Trouble::default(),
                name,
            }));
        }
        let connections = config.connections.clamp(1, config.concurrency.max(1));
        let address = member.as_ref().and_then(|member| member.address);
        let targets: Vec<_> = sites.iter().map(|site| Target::new(site, address, connections, &config.retry)).collect();
        Ok(Arc::new(Self {
            destination: config.name.clone(),
            sites,
            is_fixed: address.is_some(),
            current: ArcSwap::from_pointee(targets),
            balance: config.endpoints.balance,
            dns: config.endpoints.dns,
            connections,
            retry: config.retry.clone(),
            timeout: config.timeout,
            next: AtomicUsize::new(0),
            news: Notify::new(),
        }))
    }

    /// The endpoints, in the order of the configuration.
    pub fn sites(&self) -> &[Arc<Site>] {
        &self.sites
    }

    /// All targets there are now.
    pub fn current(&self) -> Arc<Vec<Arc<Target>>> {
        self.current.load_full()
    }

    /// Told when a target answers again.
    pub fn news(&self) -> &Notify {
        &self.news
    }

    /// Where the next request goes.
    pub fn choose(&self, is_draining: bool) -> Choice {
        let all = self.current.load();
        let is_only = all.len() == 1;
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let together = |one: &Arc<Target>, other: &Arc<Target>| {
            self.balance == Balance::RoundRobin || Arc::ptr_eq(&one.site, &other.site)
        };
        let mut first: Option<Resting> = None;
        for group in all.chunk_by(together) {
            let (later, sooner) = group.split_at(turn % group.len());
            for target in sooner.iter().chain(later) {
                match target.may_be_tried(is_only, is_draining, self.timeout) {
                    Ok(()) => return Choice::Try { target: Arc::clone(target), is_only },
                    Err(resting) if first.is_none_or(|known| resting.until < known.until) => first = Some(resting),
                    Err(_) => {}
                }
            }
        }
        Choice::Wait(first.expect("there is a target"))
    }

    // === names ===

    /// Whether any of them may lead elsewhere some day. Kafka's client follows its brokers itself.
    pub fn has_names(&self) -> bool {
        let is_named = |site: &Arc<Site>| site.dialer.is_named() && site.template.protocol() != Protocol::Kafka;
        !self.is_fixed && self.sites.iter().any(is_named)
    }

    /// Asks where names lead, every so often, for as long as anybody sends there.
    pub async fn follow(this: Weak<Self>, every: Duration) {
        let mut is_first = true;
        while let Some(targets) = this.upgrade() {
            // A connection asks for its name itself. Who wants all addresses has none before this.
            if !is_first || targets.dns == Dns::All {
                targets.look().await;
            }
            is_first = false;
            drop(targets);
            tokio::time::sleep(every).await;
        }
    }

    async fn look(&self) {
        let mut now = Vec::new();
        let before = self.current.load_full();
        for site in &self.sites {
            let known = || before.iter().filter(|target| Arc::ptr_eq(&target.site, site));
            if !site.dialer.is_named() {
                now.extend(known().cloned());
                continue;
            }
            match site.dialer.look_up_anew().await {
                Ok(found) if self.dns == Dns::All => {
                    let mut seen = HashSet::new();
                    for address in found.into_iter().filter(|address| seen.insert(*address)) {
                        let kept = known().find(|target| target.address == Some(address)).cloned();
                        let new = || Target::new(site, Some(address), self.connections, &self.retry);
                        now.push(kept.unwrap_or_else(new));
                    }
                }
                Ok(_) => {
                    known().for_each(|target| target.follow(false));
                    now.extend(known().cloned());
                }
                Err(error) => {
                    // What was known may still be right. Where it is not, connections fail, and that is told.
                    tracing::debug!(destination = self.destination, endpoint = site.name, %error, "cannot resolve the name");
                    now.extend(known().cloned());
                }
            }
        }
        let is_new = |target: &Arc<Target>| !before.iter().any(|known| Arc::ptr_eq(known, target));
        let is_gone = |target: &&Arc<Target>| !now.iter().any(|kept| Arc::ptr_eq(kept, target));
        let gone: Vec<_> = before.iter().filter(is_gone).cloned().collect();
        if gone.is_empty() && !now.iter().any(is_new) {
            return;
        }
        tracing::info!(
            destination = self.destination,
            addresses = now.len(),
            "the addresses of the back end have changed"
        );
        self.current.store(Arc::new(now));
        for target in gone {
            target.follow(true);
        }
    }
}
