//! The servers' side of rustls.

use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::certificates::{Authority, Issued};

/// A server that shows a certificate, and asks clients for theirs where an authority for them is given.
pub fn server(
    shown: &Issued,
    clients: Option<&Authority>,
    alpn: &[u8],
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(authority.roots().into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let mut config = builder.with_single_cert(vec![shown.certificate()], shown.private_key()).unwrap();
    config.alpn_protocols = vec![alpn.to_vec()];
    Arc::new(config)
}
