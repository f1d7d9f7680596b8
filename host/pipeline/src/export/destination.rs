//! One destination: its queue and its senders, from start to end.

use std::sync::Arc;

use otlp::signal::Signal;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::StartError;
use super::config::{DestinationConfig, TlsConfig};
use super::dial::Network;
use super::kafka::Producer;
use super::metrics::{DropReason, Metrics};
use super::queue::{Disk, Queue, Spool};
use super::secrets::Secrets;
use super::sender::{Sender, Shared};
use super::sizes::Sizes;
use super::targets::Targets;
use super::tls::Material;
use crate::kafka::KafkaError;
use crate::log_gate::Gate;
use crate::tls::TlsError;

/// Why a destination cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(super) enum SetUpError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Kafka(#[from] KafkaError),
}

impl SetUpError {
    /// Of the destination of this name.
    pub fn of(self, name: String) -> StartError {
        match self {
            Self::Tls(error) => StartError::Tls { name, error },
            Self::Kafka(error) => StartError::Kafka { name, error },
        }
    }
}

/// A running destination, of one signal.
pub(super) struct Destination {
    config: DestinationConfig,
    material: Material,
    secrets: Arc<Secrets>,
    shared: Arc<Shared>,
    senders: TaskTracker,
    stop: CancellationToken,
}

impl Destination {
    /// Sets it up. Nothing is sent before [`begin`](Self::begin).
    pub fn new(
        mut config: DestinationConfig,
        material: Material,
        secrets: Arc<Secrets>,
        network: &Network,
        spool: Option<Arc<Spool>>,
        metrics: &Metrics,
        runtime: &Handle,
    ) -> Result<Arc<Self>, SetUpError> {
        if !config.endpoints.has_tls() && config.tls != TlsConfig::default() {
            tracing::warn!(
                destination = config.name,
                "nothing is encrypted: `tls` is set, but the endpoint is http:// and not https://"
            );
        }
        let targets = Targets::new(&config, &material, &secrets, network, metrics)?;
        let original = config.clone();
        // Joined parcels are never cut again.
        config.batch.max_bytes = config.batch.max_bytes.clamp(1, config.batch.max_request_bytes.max(1));
        let queue = Queue::new(
            &config.name,
            config.queue.clone(),
            config.batch.clone(),
            config.forward.clone(),
            metrics.of(&config.name, config.signal()),
            spool.map(|spool| Disk::new(spool, &config.queue.mode, runtime.clone())),
        );
        let files = material.kafka.as_ref();
        let kafka = config.kafka.as_ref().zip(files).map(|(kafka, files)| Producer::start(&config, kafka, files));
        let shared = Arc::new(Shared {
            kafka: kafka.transpose()?,
            targets,
            sizes: Sizes::new(config.batch.max_request_bytes),
            queue,
            config,
            failures: Gate::default(),
            rejections: Gate::default(),
            warnings: Gate::default(),
            oversize: Gate::default(),
            exhausted: Gate::default(),
        });
        let (senders, stop) = (TaskTracker::new(), CancellationToken::new());
        senders.close();
        Ok(Arc::new(Self { config: original, material, secrets, shared, senders, stop }))
    }

    /// Starts its senders. Not before its queue has the account of what is on disk: they read that back.
    pub fn begin(&self, runtime: &Handle) {
        for number in 0..self.shared.config.concurrency.max(1) {
            let sender = Sender::new(Arc::clone(&self.shared), number);
            self.senders.spawn_on(self.stop.clone().run_until_cancelled_owned(sender.run()), runtime);
        }
        if self.shared.targets.has_names() {
            let following = Targets::follow(Arc::downgrade(&self.shared.targets), self.config.endpoints.resolve_every);
            drop(runtime.spawn(self.stop.clone().run_until_cancelled_owned(following)));
        }
        if !self.secrets.is_empty() {
            let following = Secrets::follow(Arc::downgrade(&self.secrets));
            drop(runtime.spawn(self.stop.clone().run_until_cancelled_owned(following)));
        }
    }

    pub fn name(&self) -> &str {
        &self.config.name
    }

    pub fn signal(&self) -> Signal {
        self.config.signal()
    }

    pub fn config(&self) -> &DestinationConfig {
        &self.config
    }

    pub fn queue(&self) -> &Arc<Queue> {
        &self.shared.queue
    }

    pub fn targets(&self) -> &Targets {
        &self.shared.targets
    }

    /// Its endpoints as metrics call them: its name and theirs.
    pub fn endpoints(&self) -> impl Iterator<Item = (&str, &str)> {
        self.shared.targets.sites().iter().map(|site| (self.name(), site.name.as_str()))
    }

    /// Whether it would do exactly what one of this configuration does.
    pub fn is(&self, config: &DestinationConfig, material: &Material) -> bool {
        self.config == *config && self.material == *material
    }

    /// Whether its senders are done.
    pub fn is_finished(&self) -> bool {
        self.senders.is_empty()
    }

    /// Sends what it holds until the deadline, then gives up the rest. Answers how many items that were. The earliest
    /// deadline holds where it is asked for more than once.
    pub async fn finish(&self, reason: DropReason, deadline: Instant) -> u64 {
        self.shared.queue.close(reason);
        if tokio::time::timeout_at(deadline, self.senders.wait()).await.is_err() {
            self.stop.cancel();
            // Gone only when what they held is accounted for.
            self.senders.wait().await;
        }
        self.stop.cancel();
        self.settle(reason).await;
        self.shared.queue.lost()
    }

    /// Accounts for what is left when nobody sends any more.
    async fn settle(&self, reason: DropReason) {
        if self.shared.queue.disk().is_none() || self.shared.queue.is_replaced() {
            return self.shared.queue.kill(reason);
        }
        let queue = Arc::clone(&self.shared.queue);
        let settled = tokio::task::spawn_blocking(move || {
            queue.rescue(reason);
            queue.kill(reason);
        });
        // It panicked: what is in memory is accounted for all the same.
        if settled.await.is_err() {
            self.shared.queue.kill(reason);
        }
    }
}
