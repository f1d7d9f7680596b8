//! Kafka, as far as its receiver and its destinations agree: brokers, topics, and how they are spoken to. What sends is in `export/kafka`,
//! what takes is in `receive/kafka`.
//!
//! Configuration is the same in every build; what it takes to follow it (librdkafka) is there with the feature `kafka`, and TLS with
//! `kafka-tls`.

use std::fmt;
use std::path::{Path, PathBuf};

#[cfg(feature = "kafka")]
mod client;

#[cfg(feature = "kafka")]
pub(crate) use client::{Logs, configure};

/// Whether this build speaks to Kafka at all.
pub const IS_BUILT: bool = cfg!(feature = "kafka");
/// Whether it does so over TLS, and with SCRAM.
pub const HAS_TLS: bool = cfg!(feature = "kafka-tls");

/// The topic of each signal unless it is told otherwise: the Collector's.
pub const TOPICS: [&str; 3] = ["otlp_spans", "otlp_metrics", "otlp_logs"];

/// Where brokers are, and who this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectConfig {
    /// `HOST:PORT` of some brokers, from which all others are learnt. Never empty.
    pub brokers: Vec<String>,
    /// What brokers call this client in their logs and quotas.
    pub client_id: String,
    /// TLS; plain text without it.
    pub tls: Option<TlsConfig>,
    /// Who this is; nobody in particular without it.
    pub sasl: Option<SaslConfig>,
}

impl ConnectConfig {
    /// Plain text, as nobody in particular.
    #[must_use]
    pub fn new(brokers: Vec<String>) -> Self {
        Self { brokers, client_id: "tracemill".to_owned(), tls: None, sasl: None }
    }
}

/// Trust and identity. Files are PEM, and are read at the start; those of destinations at each reload, those of the receiver whenever it begins anew.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsConfig {
    /// Certificate authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate chain, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Who this is to brokers, and how that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaslConfig {
    /// How.
    pub mechanism: Mechanism,
    /// Who.
    pub username: String,
    /// What proves it.
    pub password: Password,
}

/// How a user is shown to be who they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// The password itself: over TLS only, unless nobody listens.
    Plain,
    /// RFC 5802, with SHA-256.
    ScramSha256,
    /// The same with SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// As it is written in the configuration, and as Kafka calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }

    /// Whether it takes the cryptography that comes with TLS.
    #[must_use]
    pub fn needs_tls_build(self) -> bool {
        self != Self::Plain
    }
}

/// A password, or the file that holds it. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// Itself.
    Text(String),
    /// In a file; a line's end behind it does not count. Read when files of [`TlsConfig`] are.
    File(PathBuf),
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("(secret)"),
            Self::File(file) => f.debug_tuple("File").field(file).finish(),
        }
    }
}

/// Why Kafka cannot be spoken to as configured.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// It is not in this build.
    #[error("{}", missing("Kafka", "kafka"))]
    NotBuilt,
    /// A file cannot be read.
    #[error("cannot read {}: {error}", .file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// librdkafka does not take the settings.
    #[error("{0}")]
    Client(String),
}

/// What to do where the build lacks something.
#[must_use]
pub fn missing(what: &str, feature: &str) -> String {
    format!("{what} is not in this build of tracemill: take a release, or build with `--features {feature}`")
}

/// What the files of a connection hold. Two that are equal make the same connections.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Files {
    pub ca: Option<String>,
    pub cert: Option<String>,
    pub key: Option<String>,
    pub password: Option<String>,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").finish_non_exhaustive()
    }
}

impl Files {
    /// Reads them.
    pub fn read(config: &ConnectConfig) -> Result<Self, KafkaError> {
        let read = |file: &Path| {
            std::fs::read_to_string(file).map_err(|error| KafkaError::Read { file: file.to_owned(), error })
        };
        let tls = config.tls.as_ref();
        let identity = tls.and_then(|tls| tls.identity.as_ref());
        let password = match config.sasl.as_ref().map(|sasl| &sasl.password) {
            None => None,
            Some(Password::Text(text)) => Some(text.clone()),
            Some(Password::File(file)) => Some(read(file)?.trim_end_matches(['\r', '\n']).to_owned()),
        };
        Ok(Self {
            ca: tls.and_then(|tls| tls.ca_file.as_deref()).map(read).transpose()?,
            cert: identity.map(|(cert, _)| read(cert)).transpose()?,
            key: identity.map(|(_, key)| read(key)).transpose()?,
            password,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_read_from_its_file_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "s3cret\n").unwrap();
        let mut config = ConnectConfig::new(vec!["b:9092".to_owned()]);
        let sasl = |password| SaslConfig { mechanism: Mechanism::Plain, username: "me".to_owned(), password };
        for password in [Password::Text("s3cret".to_owned()), Password::File(file)] {
            config.sasl = Some(sasl(password));
            let files = Files::read(&config).unwrap();
            assert_eq!(files.password.as_deref(), Some("s3cret"));
            assert!(!format!("{config:?} {files:?}").contains("s3cret"));
        }
        config.sasl = Some(sasl(Password::File(folder.path().join("none"))));
        assert!(Files::read(&config).unwrap_err().to_string().contains("none"));
    }
}
