//! Trust and identity, from the files that the configuration names to what rustls needs.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::config::{DestinationConfig, Endpoint, Protocol, TlsConfig};
use crate::kafka::Files;
use crate::tls::{self, Pem, TlsError, TlsVersion};

mod advice;
mod identity;

use advice::Trusted;
use identity::ClientIdentity;

/// What connections to one back end are secured with.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    trusted: Trusted,
    identity: Arc<ClientIdentity>,
    min_version: TlsVersion,
}

impl Tls {
    /// Makes the handshake. The error ends with what to do about it, where that is known.
    pub async fn secure(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
        let secured = self.connector.connect(self.name.clone(), stream).await;
        secured.map_err(|error| format!("{error}{}", advice::on(&error, self)))
    }

    /// What may be wrong where the handshake went well, and yet no answer came. Empty, or the end of a message.
    pub fn advice_on_loss(&self) -> String {
        self.identity.advice()
    }
}

/// What the files say. Two that are equal make the same connections.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Material {
    ca: Option<Pem>,
    cert: Option<Pem>,
    key: Option<Pem>,
    /// Those of a destination that is Kafka.
    pub kafka: Option<Files>,
}

impl Material {
    /// Reads the files of a destination that needs them.
    pub fn read(config: &DestinationConfig) -> Result<Self, TlsError> {
        if !config.endpoints.has_tls() {
            return Ok(Self::default());
        }
        let identity = config.tls.identity.as_ref();
        Ok(Self {
            ca: config.tls.ca_file.as_deref().map(Pem::read).transpose()?,
            cert: identity.map(|identity| Pem::read(&identity.cert_file)).transpose()?,
            key: identity.map(|identity| Pem::read(&identity.key_file)).transpose()?,
            kafka: None,
        })
    }
}

impl Material {
    /// With the files of a destination that is Kafka.
    pub fn with_kafka(self, kafka: Option<Files>) -> Self {
        Self { kafka, ..self }
    }
}

/// What to connect to an endpoint with; `None` for one without TLS.
pub(super) fn client(tls: &TlsConfig, endpoint: &Endpoint, material: &Material) -> Result<Option<Tls>, TlsError> {
    if !endpoint.is_tls() {
        return Ok(None);
    }
    let name = tls.server_name.as_deref().unwrap_or(endpoint.host());
    let name = ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))?;
    let provider = tls::provider();
    let identity = Arc::new(identity(material, &provider)?);
    let (roots, trusted) = roots(tls, material)?;
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(tls.min_version.and_later())?
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::clone(&identity) as _);
    client.alpn_protocols = match endpoint.protocol() {
        Protocol::Grpc => vec![b"h2".to_vec()],
        Protocol::Http => vec![b"http/1.1".to_vec()],
        // librdkafka secures its connections itself.
        Protocol::Kafka => return Ok(None),
    };
    let connector = TlsConnector::from(Arc::new(client));
    Ok(Some(Tls { connector, name, trusted, identity, min_version: tls.min_version }))
}

fn identity(material: &Material, provider: &CryptoProvider) -> Result<ClientIdentity, TlsError> {
    let (Some(cert), Some(key)) = (&material.cert, &material.key) else {
        return Ok(ClientIdentity::default());
    };
    Ok(ClientIdentity::new(cert.path.clone(), tls::certified(cert, key, provider)?))
}

fn roots(tls: &TlsConfig, material: &Material) -> Result<(RootCertStore, Trusted), TlsError> {
    let mut roots = material.ca.as_ref().map_or_else(|| Ok(RootCertStore::empty()), Pem::roots)?;
    let trusted = match &material.ca {
        None => Trusted::System,
        Some(file) if tls.include_system_roots => Trusted::FileAndSystem(file.path.clone()),
        Some(file) => Trusted::File(file.path.clone()),
    };
    if !matches!(trusted, Trusted::File(_)) {
        tls::add_system_roots(&mut roots)?;
    }
    Ok((roots, trusted))
}
