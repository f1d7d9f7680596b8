//! What is kept of a request beside its spans: who sent it, for which tenant, with which headers.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use otlp::batch::RequestContext;

/// What the configuration wants kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Keep {
    pub headers: Vec<HeaderName>,
    pub tenant: Option<HeaderName>,
}

impl Keep {
    /// The context of all requests of a connection that bring nothing that is kept.
    pub fn of_peer(peer: IpAddr) -> Arc<RequestContext> {
        Arc::new(RequestContext { peer: peer.to_canonical().to_string().into(), ..RequestContext::default() })
    }

    /// A request's context: the connection's own, unless the request brings something that is kept.
    pub fn of_request(&self, peer: &Arc<RequestContext>, headers: &HeaderMap) -> Arc<RequestContext> {
        let tenant = self.tenant.as_ref().and_then(|name| headers.get(name)).map(text);
        let kept: Vec<_> = self
            .headers
            .iter()
            .flat_map(|name| headers.get_all(name).iter().map(|value| (name.as_str().into(), text(value))))
            .collect();
        if tenant.is_none() && kept.is_empty() {
            return Arc::clone(peer);
        }
        Arc::new(RequestContext { tenant, peer: peer.peer.clone(), headers: kept })
    }
}

/// Header values need not be UTF-8.
fn text(value: &HeaderValue) -> Box<str> {
    String::from_utf8_lossy(value.as_bytes()).into_owned().into()
}
