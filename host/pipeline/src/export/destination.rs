//! One destination: its queue and its senders, from start to end.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::{DestinationConfig, TlsConfig};
use super::dial::Dialer;
use super::gate::Gate;
use super::link;
use super::metrics::{DropReason, Metrics};
use super::queue::Queue;
use super::sender::{Sender, Shared};
use super::tls::{self, Material};
use super::wire::Template;
use crate::tls::TlsError;

/// A running destination.
pub(super) struct Destination {
    config: DestinationConfig,
    material: Material,
    queue: Arc<Queue>,
    senders: TaskTracker,
    stop: CancellationToken,
}

impl Destination {
    /// Starts its senders on the runtime.
    pub fn start(
        config: DestinationConfig,
        material: Material,
        metrics: &Metrics,
        runtime: &Handle,
    ) -> Result<Arc<Self>, TlsError> {
        if !config.endpoint.is_tls() && config.tls != TlsConfig::default() {
            tracing::warn!(
                destination = config.name,
                "nothing is encrypted: `tls` is set, but the endpoint is http:// and not https://"
            );
        }
        let dialer = Dialer::new(config.endpoint.uri(), tls::client(&config, &material)?);
        Ok(Self::start_with(config, material, dialer, metrics, runtime))
    }

    pub fn start_with(
        mut config: DestinationConfig,
        material: Material,
        dialer: Dialer,
        metrics: &Metrics,
        runtime: &Handle,
    ) -> Arc<Self> {
        let original = config.clone();
        // Joined parcels are never cut again.
        config.batch.max_bytes = config.batch.max_bytes.clamp(1, config.batch.max_request_bytes.max(1));
        let queue = Queue::new(
            &config.name,
            config.queue.clone(),
            config.batch.clone(),
            config.forward.clone(),
            metrics.of(&config.name),
        );
        let shared = Arc::new(Shared {
            template: Template::new(&config),
            queue: Arc::clone(&queue),
            config,
            quiet: Mutex::new(None),
            failures: Gate::default(),
            rejections: Gate::default(),
            warnings: Gate::default(),
            oversize: Gate::default(),
            exhausted: Gate::default(),
        });
        let links = link::links(&shared.config, &Arc::new(dialer));
        let (senders, stop) = (TaskTracker::new(), CancellationToken::new());
        for link in links {
            let sender = Sender { shared: Arc::clone(&shared), link };
            senders.spawn_on(stop.clone().run_until_cancelled_owned(sender.run()), runtime);
        }
        senders.close();
        Arc::new(Self { config: original, material, queue, senders, stop })
    }

    pub fn name(&self) -> &str {
        &self.config.name
    }

    pub fn config(&self) -> &DestinationConfig {
        &self.config
    }

    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Whether it would do exactly what one of this configuration does.
    pub fn is(&self, config: &DestinationConfig, material: &Material) -> bool {
        self.config == *config && self.material == *material
    }

    /// Whether its senders are done.
    pub fn is_finished(&self) -> bool {
        self.senders.is_empty()
    }

    /// Sends what it holds until the deadline, then gives up the rest. Answers how many spans that were. The earliest
    /// deadline holds where it is asked for more than once.
    pub async fn finish(&self, reason: DropReason, deadline: Instant) -> u64 {
        self.queue.close(reason);
        if tokio::time::timeout_at(deadline, self.senders.wait()).await.is_err() {
            self.stop.cancel();
            // Gone only when what they held is accounted for.
            self.senders.wait().await;
        }
        self.queue.kill(reason);
        self.queue.lost()
    }
}
