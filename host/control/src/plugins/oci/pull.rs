//! Asks a registry. What it sends is believed only as far as its digest says.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use oci_client::RegistryOperation;
use oci_client::client::{Certificate, CertificateEncoding, Client, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::manifest::{IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::manifest::{self, Layer};
use super::{PullError, Reference, login};
use crate::config::plugins::oci::Oci;
use crate::plugins::digest::Digest;

/// How long a connection may take, where the whole attempt may take longer.
const CONNECT: Duration = Duration::from_secs(10);
/// An index is asked for too, so that it is refused as what it is.
const MANIFESTS: &[&str] = &[OCI_IMAGE_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE];
const USER_AGENT: &str = concat!("tracemill/", env!("CARGO_PKG_VERSION"));

/// Pulls a plugin. Called from a thread that may wait; never from one of a runtime.
pub fn pull(reference: &Reference, settings: &Oci) -> Result<Vec<u8>, PullError> {
    let passing = |why: String| PullError::Passing(format!("{reference}: {why}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| passing(error.to_string()))?;
    let pulled = runtime.block_on(async { tokio::time::timeout(settings.timeout, ask(reference, settings)).await });
    // A name that is still being resolved holds nobody up.
    runtime.shutdown_background();
    match pulled {
        Err(_) => Err(passing(format!("not pulled within {:?} (plugins.oci.timeout)", settings.timeout))),
        Ok(Err(PullError::Passing(why))) => Err(passing(why)),
        Ok(Err(PullError::Content(why))) => Err(PullError::Content(format!("{reference}: {why}"))),
        Ok(Ok(content)) => Ok(content),
    }
}

async fn ask(reference: &Reference, settings: &Oci) -> Result<Vec<u8>, PullError> {
    let auth = login::login(settings, reference.registry()).map_err(PullError::Passing)?;
    let client = client(settings)?;
    let (wanted, refused) = (reference.wanted(), |error| refusal(&error, reference.registry()));
    // By itself the client would go on without credentials that are not taken, and hide why.
    client.auth(&wanted, &auth, RegistryOperation::Pull).await.map_err(refused)?;
    let (manifest, _) = client.pull_manifest_raw(&wanted, &auth, MANIFESTS).await.map_err(refused)?;
    same(&manifest, reference.digest(), "manifest")?;
    let Layer { digest, size } = manifest::layer(&manifest)?;
    let named = format!("sha256:{digest}");
    // Only of this registry: the URLs that a manifest may name beside it are not asked.
    let mut stream = client.pull_blob_stream(&wanted, named.as_str()).await.map_err(refused)?;
    let mut content = Vec::new();
    while let Some(bytes) = stream.try_next().await.map_err(|error| PullError::Passing(chain(&error)))? {
        if (content.len() + bytes.len()) as u64 > size {
            return Err(PullError::Passing(format!("the registry sends more than the {size} bytes of the layer")));
        }
        content.extend_from_slice(&bytes);
    }
    same(&content, &digest, "layer")?;
    Ok(content)
}

/// What was sent is what was asked for. If not, another answer may be better: the digest is right by definition.
fn same(content: &[u8], digest: &str, what: &str) -> Result<(), PullError> {
    let sent = Digest::of(content).whole();
    if sent == digest {
        return Ok(());
    }
    Err(PullError::Passing(format!("the registry sends another {what}: sha256:{sent} instead of sha256:{digest}")))
}

fn client(settings: &Oci) -> Result<Client, PullError> {
    // The cryptography of everything else here. Somebody who did so before has done no other.
    let _already = ring::default_provider().install_default();
    let config = ClientConfig {
        protocol: ClientProtocol::HttpsExcept(settings.insecure.clone()),
        extra_root_certificates: settings.ca_file.as_deref().map(authorities).transpose()?.unwrap_or_default(),
        connect_timeout: Some(CONNECT.min(settings.timeout)),
        user_agent: USER_AGENT,
        ..ClientConfig::default()
    };
    Client::try_from(config).map_err(|error| PullError::Passing(chain(&error)))
}

fn authorities(file: &Path) -> Result<Vec<Certificate>, PullError> {
    let wrong = |why: String| PullError::Passing(format!("plugins.oci.ca_file: {}: {why}", file.display()));
    let bytes = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let read: Result<Vec<CertificateDer<'_>>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let read =
        read.ok().filter(|all| !all.is_empty()).ok_or_else(|| wrong("it holds no certificate (PEM)".to_owned()))?;
    let one = |der: &CertificateDer<'_>| Certificate { encoding: CertificateEncoding::Der, data: der.to_vec() };
    Ok(read.iter().map(one).collect())
}

fn refusal(error: &OciDistributionError, registry: &str) -> PullError {
    let hint = match error {
        OciDistributionError::UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_) => {
            format!(" (who asks {registry}: plugins.oci.credentials, plugins.oci.docker_config)")
        }
        OciDistributionError::RequestError(error) if error.is_connect() => {
            format!(" (a registry without TLS is named in plugins.oci.insecure, as {registry})")
        }
        _ => String::new(),
    };
    PullError::Passing(chain(error) + &hint)
}

/// An error with what is behind it, without what repeats itself.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !said.contains(&more) {
            said = format!("{said}: {more}");
        }
        next = error.source();
    }
    said
}
