//! Requests as they go onto the wire, for both protocols: bodies framed, headers set.

use std::str::FromStr as _;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header};

use super::Parcel;
use super::codec::{self, CodecError};
use super::config::{DestinationConfig, Endpoint, Protocol};
use super::frames::Frames;
use super::secrets::Secrets;

/// What all requests to one endpoint of a destination have in common.
#[derive(Debug)]
pub(super) struct Template {
    secrets: Arc<Secrets>,
    protocol: Protocol,
    compression: super::config::Compression,
    uri: Uri,
    headers: HeaderMap,
    forward: Vec<HeaderName>,
}

impl Template {
    pub fn new(config: &DestinationConfig, endpoint: &Endpoint, secrets: Arc<Secrets>) -> Self {
        let uri = endpoint.uri(config.signal());
        let codec = codec::name(config.compression).map(HeaderValue::from_static);
        let mut headers = config.headers.clone();
        // The configuration may name another.
        if !headers.contains_key(header::USER_AGENT) {
            let agent = HeaderValue::from_static(concat!("tracemill/", env!("CARGO_PKG_VERSION"), " (Rust)"));
            headers.insert(header::USER_AGENT, agent);
        }
        let uri = match endpoint.protocol() {
            // Its messages are no HTTP.
            Protocol::Kafka => uri.clone(),
            Protocol::Grpc => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(header::TE, HeaderValue::from_static("trailers"));
                // Answers are tiny: compressing them costs more than it saves.
                headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
                if let Some(codec) = codec {
                    headers.insert("grpc-encoding", codec);
                }
                // At most eight digits.
                let timeout = config.timeout.as_millis().min(99_999_999);
                let timeout = HeaderValue::from_str(&format!("{timeout}m")).expect("digits and a letter");
                headers.insert("grpc-timeout", timeout);
                uri.clone()
            }
            Protocol::Http => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
                if let Some(codec) = codec {
                    headers.insert(header::CONTENT_ENCODING, codec);
                }
                if let Some(host) = uri.authority() {
                    headers.insert(
                        header::HOST,
                        HeaderValue::from_str(host.as_str()).expect("an authority is visible ASCII"),
                    );
                }
                // HTTP/1.1 has only the path in its first line.
                uri.path_and_query().map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()))
            }
        };
        Self {
            secrets,
            protocol: endpoint.protocol(),
            compression: config.compression,
            uri,
            headers,
            forward: config.forward.clone(),
        }
    }

    /// How the endpoint is spoken to.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// A request with these bodies, one after another. `head` is the first parcel, for what is passed on.
    pub async fn request(&self, bodies: Vec<Bytes>, head: Option<&Parcel>) -> Result<Request<Frames>, CodecError> {
        let compressed = codec::compress(self.compression, &bodies).await?;
        let is_compressed = compressed.is_some();
        let bodies = compressed.map_or(bodies, |one| vec![one]);
        let frames = match self.protocol {
            Protocol::Http | Protocol::Kafka => Frames::new(bodies),
            Protocol::Grpc => {
                let len: usize = bodies.iter().map(Bytes::len).sum();
                let mut prefix = BytesMut::with_capacity(5);
                prefix.put_u8(u8::from(is_compressed));
                prefix.put_u32(u32::try_from(len).expect("requests are limited far below 4 GiB"));
                Frames::new(std::iter::once(prefix.freeze()).chain(bodies))
            }
        };
        let mut request = Request::new(frames);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = match self.protocol {
            Protocol::Grpc => Version::HTTP_2,
            Protocol::Http | Protocol::Kafka => Version::HTTP_11,
        };
        *request.headers_mut() = self.headers.clone();
        self.secrets.set(request.headers_mut());
        if let Some(head) = head {
            self.pass_on(head, request.headers_mut());
        }
        Ok(request)
    }

    /// Copies the headers that are passed on, in the place of configured ones of that name.
    fn pass_on(&self, head: &Parcel, headers: &mut HeaderMap) {
        for (name, value) in &head.context.headers {
            let Ok(name) = HeaderName::from_str(name) else { continue };
            if self.forward.contains(&name)
                && let Ok(value) = HeaderValue::from_str(value)
            {
                headers.insert(name, value);
            }
        }
    }
}
