//! librdkafka's settings for a connection, and where its own words go.

use std::sync::Arc;

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError as RdError;

use super::{ConnectConfig, Files, HAS_TLS, KafkaError, SaslConfig, missing};
use crate::log_gate::Gate;

/// What every client is told.
pub(crate) fn configure(config: &ConnectConfig, files: &Files) -> Result<ClientConfig, KafkaError> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", config.brokers.join(","));
    client.set("client.id", &config.client_id);
    // Its log goes through ours, at the levels that matter.
    client.set_log_level(RDKafkaLogLevel::Warning);
    // Idle brokers close connections: that is no news.
    client.set("log.connection.close", "false");
    let secured = config.tls.is_some();
    if (secured || config.sasl.as_ref().is_some_and(|sasl| sasl.mechanism.needs_tls_build())) && !HAS_TLS {
        return Err(KafkaError::Client(missing("Kafka over TLS, or with SCRAM,", "kafka-tls")));
    }
    let protocol = match (secured, &config.sasl) {
        (false, None) => "plaintext",
        (true, None) => "ssl",
        (false, Some(_)) => "sasl_plaintext",
        (true, Some(_)) => "sasl_ssl",
    };
    client.set("security.protocol", protocol);
    if secured {
        client.set("ssl.endpoint.identification.algorithm", "https");
        match &files.ca {
            Some(pem) => client.set("ssl.ca.pem", pem),
            None => client.set("ssl.ca.location", "probe"),
        };
    }
    if let (Some(cert), Some(key)) = (&files.cert, &files.key) {
        client.set("ssl.certificate.pem", cert).set("ssl.key.pem", key);
    }
    if let Some(SaslConfig { mechanism, username, .. }) = &config.sasl {
        client.set("sasl.mechanism", mechanism.name()).set("sasl.username", username);
        client.set("sasl.password", files.password.as_deref().unwrap_or_default());
    }
    Ok(client)
}

/// Where the words of one client go: to the log, now and then, and to whoever asks what is wrong.
#[derive(Debug, Default, Clone)]
pub(crate) struct Logs(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Whose client it is.
    who: String,
    last: Mutex<Option<Said>>,
    gate: Gate,
}

/// What went wrong.
#[derive(Debug, Clone)]
struct Said {
    what: String,
    /// Whether it is over as soon as a broker can be reached.
    is_of_connection: bool,
}

impl Logs {
    pub fn of(who: impl Into<String>) -> Self {
        Self(Arc::new(Inner { who: who.into(), ..Inner::default() }))
    }

    /// What went wrong last, since somebody took it.
    pub fn take(&self) -> Option<String> {
        self.0.last.lock().take().map(|said| said.what)
    }

    /// The same, for others to see too.
    pub fn last(&self) -> Option<String> {
        self.0.last.lock().as_ref().map(|said| said.what.clone())
    }

    /// Nothing is wrong any more.
    pub fn all_is_well(&self) {
        self.0.last.lock().take();
    }

    /// Brokers can be reached.
    pub fn is_connected(&self) {
        self.0.last.lock().take_if(|said| said.is_of_connection);
    }

    /// Something went wrong.
    pub fn note(&self, what: String) {
        self.keep(what, false);
    }

    fn keep(&self, what: String, is_of_connection: bool) {
        if let Some(unsaid) = self.0.gate.open() {
            tracing::warn!(who = self.0.who, unsaid, "Kafka: {what}");
        }
        *self.0.last.lock() = Some(Said { what, is_of_connection });
    }
}

impl ClientContext for Logs {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        let who = &self.0.who;
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                if let Some(unsaid) = self.0.gate.open() {
                    tracing::warn!(who, fac, unsaid, "Kafka: {message}");
                }
            }
            _ => tracing::debug!(who, fac, "Kafka: {message}"),
        }
    }

    fn error(&self, error: RdError, reason: &str) {
        let code = error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string());
        self.keep(format!("{code}: {reason}"), true);
    }
}
