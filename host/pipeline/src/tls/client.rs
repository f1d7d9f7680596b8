//! TLS towards a server of one's own, as `tracemill status` speaks it to the admin side.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Pem, TlsError};

/// Makes the handshake with a server called `name`, which must be signed for by an authority in `ca_file`; by one of the system's
/// where there is no such file. `identity` is the certificate and the key to show, where the server asks for them.
pub async fn secure(
    stream: TcpStream,
    name: &str,
    ca_file: Option<&Path>,
    identity: Option<(&Path, &Path)>,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => roots = Pem::read(file)?.roots()?,
        None => super::add_system_roots(&mut roots)?,
    }
    let server = ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))?;
    let provider = super::provider();
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let client = match identity {
        None => client.with_no_client_auth(),
        Some((cert, key)) => {
            let certified = super::certified(&Pem::read(cert)?, &Pem::read(key)?, &provider)?;
            client.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
        }
    };
    let connector = TlsConnector::from(Arc::new(client));
    connector.connect(server, stream).await.map_err(TlsError::Handshake)
}
