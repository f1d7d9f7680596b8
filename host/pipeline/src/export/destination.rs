//! One destination, or one of several endpoints that have a queue each: its queue and who works on it, from start to end.

use std::sync::Arc;

use otlp::signal::Signal;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::StartError;
use super::circle::Heirs;
use super::config::{DestinationConfig, TlsConfig};
use super::dial::Network;
use super::kafka::Producer;
use super::members::{Member, Plan, Role};
use super::metrics::{DropReason, Metrics};
use super::mover;
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
    plan: Plan,
    material: Material,
    secrets: Arc<Secrets>,
    queue: Arc<Queue>,
    work: Work,
    workers: TaskTracker,
    stop: CancellationToken,
}

/// What is done with what waits.
enum Work {
    Send(Arc<Shared>),
    Move,
}

impl Destination {
    /// Sets it up. Nothing is done before [`begin`](Self::begin).
    pub fn new(
        plan: Plan,
        material: Material,
        secrets: Arc<Secrets>,
        network: &Network,
        spool: Option<Arc<Spool>>,
        metrics: &Metrics,
        runtime: &Handle,
    ) -> Result<Arc<Self>, SetUpError> {
        let mut config = plan.config.clone();
        // Joined parcels are never cut again.
        config.batch.max_bytes = config.batch.max_bytes.clamp(1, config.batch.max_request_bytes.max(1));
        let (name, signal) = (&config.name, config.signal());
        let (shown, counters) = match &plan.member {
            Some(Member { name: endpoint, .. }) if plan.role == Role::Sends => {
                (format!("destination `{name}` (endpoint {endpoint})"), metrics.of_member(name, signal, endpoint))
            }
            _ => (format!("destination `{name}`"), metrics.of(name, signal)),
        };
        let queue = Queue::new(
            name,
            shown,
            config.queue.clone(),
            config.batch.clone(),
            config.forward.clone(),
            counters,
            spool.map(|spool| Disk::new(spool, &config.queue.mode, runtime.clone())),
        );
        let work = match plan.role {
            Role::Moves => Work::Move,
            Role::Sends => {
                if !config.endpoints.has_tls() && config.tls != TlsConfig::default() {
                    tracing::warn!(
                        destination = config.name,
                        "nothing is encrypted: `tls` is set, but the endpoint is http:// and not https://"
                    );
                }
                let targets = Targets::new(&plan, &material, &secrets, network, metrics)?;
                let files = material.kafka.as_ref();
                let kafka =
                    config.kafka.as_ref().zip(files).map(|(kafka, files)| Producer::start(&config, kafka, files));
                Work::Send(Arc::new(Shared {
                    kafka: kafka.transpose()?,
                    targets,
                    sizes: Sizes::new(config.batch.max_request_bytes),
                    queue: Arc::clone(&queue),
                    endpoint: plan.member.as_ref().map(|member| member.name.clone()),
                    config,
                    failures: Gate::default(),
                    rejections: Gate::default(),
                    warnings: Gate::default(),
                    oversize: Gate::default(),
                    exhausted: Gate::default(),
                }))
            }
        };
        let (workers, stop) = (TaskTracker::new(), CancellationToken::new());
        workers.close();
        Ok(Arc::new(Self { plan, material, secrets, queue, work, workers, stop }))
    }

    /// The same queue, for what works on it when its endpoint has gone: it hands on what there is.
    pub fn leaving(&self, network: &Network, metrics: &Metrics, runtime: &Handle) -> Result<Arc<Self>, SetUpError> {
        let plan = Plan { role: Role::Moves, ..self.plan.clone() };
        let (material, secrets) = (self.material.clone(), Arc::clone(&self.secrets));
        let spool = self.queue.disk().map(|disk| Arc::clone(disk.spool()));
        Self::new(plan, material, secrets, network, spool, metrics, runtime)
    }

    /// Starts what works on its queue. Not before this has the account of what is on disk, which is read back, and its heirs are known.
    pub fn begin(&self, runtime: &Handle, heirs: &Arc<Heirs>) {
        let shared = match &self.work {
            Work::Send(shared) => shared,
            Work::Move => {
                self.workers.spawn_on(mover::run(Arc::clone(&self.queue), Arc::clone(heirs)), runtime);
                return;
            }
        };
        for number in 0..shared.config.concurrency.max(1) {
            let sender = Sender::new(Arc::clone(shared), number);
            self.workers.spawn_on(self.stop.clone().run_until_cancelled_owned(sender.run()), runtime);
        }
        if shared.targets.has_names() {
            let following = Targets::follow(Arc::downgrade(&shared.targets), shared.config.endpoints.resolve_every);
            drop(runtime.spawn(self.stop.clone().run_until_cancelled_owned(following)));
        }
        if !self.secrets.is_empty() {
            let following = Secrets::follow(Arc::downgrade(&self.secrets));
            drop(runtime.spawn(self.stop.clone().run_until_cancelled_owned(following)));
        }
    }

    pub fn name(&self) -> &str {
        &self.plan.config.name
    }

    pub fn signal(&self) -> Signal {
        self.plan.config.signal()
    }

    pub fn config(&self) -> &DestinationConfig {
        &self.plan.config
    }

    /// Which of several endpoints it is.
    pub fn member(&self) -> Option<&Member> {
        self.plan.member.as_ref()
    }

    pub fn role(&self) -> Role {
        self.plan.role
    }

    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Where it sends, if it does.
    pub fn targets(&self) -> Option<&Targets> {
        match &self.work {
            Work::Send(shared) => Some(&shared.targets),
            Work::Move => None,
        }
    }

    /// Its endpoints as metrics call them: its name and theirs.
    pub fn endpoints(&self) -> impl Iterator<Item = (&str, &str)> {
        let sites = self.targets().map(Targets::sites).unwrap_or_default();
        sites.iter().map(|site| (self.name(), site.name.as_str()))
    }

    /// Whether it is of the same name, signal and endpoint.
    pub fn is_for(&self, plan: &Plan) -> bool {
        let endpoint = |plan: &Plan| plan.member.as_ref().map(|member| member.name.clone());
        self.name() == plan.config.name
            && self.signal() == plan.config.signal()
            && endpoint(&self.plan) == endpoint(plan)
    }

    /// Whether it would do exactly what one of this plan does.
    pub fn is(&self, plan: &Plan, material: &Material) -> bool {
        self.plan == *plan && self.material == *material
    }

    /// Whether what worked on its queue is done.
    pub fn is_finished(&self) -> bool {
        self.workers.is_empty()
    }

    /// Waits for that.
    pub async fn finished(&self) {
        self.workers.wait().await;
    }

    /// Works on what it holds until the deadline, then gives up the rest. Answers how many items that were. The earliest
    /// deadline holds where it is asked for more than once.
    pub async fn finish(&self, reason: DropReason, deadline: Instant) -> u64 {
        self.queue.close(reason);
        if tokio::time::timeout_at(deadline, self.workers.wait()).await.is_err() {
            self.stop.cancel();
            // Gone only when what they held is accounted for.
            self.workers.wait().await;
        }
        self.stop.cancel();
        self.settle(reason).await;
        self.queue.lost()
    }

    /// Accounts for what is left when nobody works on it any more.
    async fn settle(&self, reason: DropReason) {
        if self.queue.disk().is_none() || self.queue.is_replaced() {
            return self.queue.kill(reason);
        }
        let queue = Arc::clone(&self.queue);
        let settled = tokio::task::spawn_blocking(move || {
            queue.rescue(reason);
            queue.kill(reason);
        });
        // It panicked: what is in memory is accounted for all the same.
        if settled.await.is_err() {
            self.queue.kill(reason);
        }
    }
}
