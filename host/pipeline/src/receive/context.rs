//! What is known of a request beside its spans: who sent it, for which tenant, with which headers, and who pays for its bytes.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use otlp::batch::RequestContext;

use crate::admit::{Admission, Payer};
use crate::auth::Granted;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// The context of all requests that bring nothing which is kept.
    pub context: Arc<RequestContext>,
    /// Who pays for those that name no tenant.
    pub payer: Payer,
}

impl Peer {
    pub fn new(address: IpAddr, admission: &Admission) -> Self {
        let peer = address.to_canonical().to_string().into();
        let context = Arc::new(RequestContext { peer, ..RequestContext::default() });
        Self { context, payer: admission.connection(address) }
    }
}

/// What the configuration wants kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Keep {
    pub headers: Vec<HeaderName>,
    pub tenant: Option<HeaderName>,
}

impl Keep {
    /// Who pays for a request.
    pub fn payer_of(&self, peer: &Peer, headers: &HeaderMap, granted: &Granted, admission: &Admission) -> Payer {
        let tenant = match &granted.tenant {
            Some(tenant) => admission.granted(tenant.as_bytes()),
            None => match self.tenant_header(headers) {
                Some(name) => admission.named(name.as_bytes()),
                None => return peer.payer.clone(),
            },
        };
        peer.payer.on_behalf_of(tenant)
    }

    /// A request's context: the connection's own, unless the request brings something that is kept.
    pub fn of_request(&self, peer: &Peer, headers: &HeaderMap, granted: &Granted) -> Arc<RequestContext> {
        let granted = granted.tenant.as_deref().map(Into::into);
        let tenant = granted.or_else(|| self.tenant_header(headers).map(text));
        let kept: Vec<_> = self
            .headers
            .iter()
            .flat_map(|name| headers.get_all(name).iter().map(|value| (name.as_str().into(), text(value))))
            .collect();
        if tenant.is_none() && kept.is_empty() {
            return Arc::clone(&peer.context);
        }
        Arc::new(RequestContext { tenant, peer: peer.context.peer.clone(), headers: kept })
    }

    /// Only asked for where the sender's credentials name no tenant.
    fn tenant_header<'h>(&self, headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
        headers.get(self.tenant.as_ref()?)
    }
}

/// Header values need not be UTF-8.
fn text(value: &HeaderValue) -> Box<str> {
    String::from_utf8_lossy(value.as_bytes()).into_owned().into()
}
