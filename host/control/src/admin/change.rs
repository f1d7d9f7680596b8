//! What the admin side changes: which version of a plugin counts. Guarded against pages that a browser on the operator's machine shows.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::view::View;
use crate::plugins::folder::command::{Ask, Refused};

/// The header that a client of ours sends. A page of another origin cannot without being asked first, and nobody answers that.
pub const HEADER: &str = "x-tracemill";

/// Does what is asked. `authenticated`: whether whoever asks has shown credentials.
pub(super) async fn change(
    ask: Ask,
    authenticated: bool,
    State(view): State<Arc<View>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Some(why) = refuses(&headers, authenticated) {
        return (StatusCode::FORBIDDEN, format!("{why}\n")).into_response();
    }
    let (code, text) = match view.commands.ask(ask, &name).await {
        Ok(done) => (StatusCode::OK, done),
        Err(refused) => {
            let code = match refused {
                Refused::Unknown(_) => StatusCode::NOT_FOUND,
                Refused::Nothing(_) => StatusCode::CONFLICT,
                Refused::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            (code, refused.to_string())
        }
    };
    (code, format!("{text}\n")).into_response()
}

/// Why a request changes nothing, if it may come from a page. With credentials asked for, a page has none to send; the name is then no matter.
fn refuses(headers: &HeaderMap, authenticated: bool) -> Option<&'static str> {
    if !headers.contains_key(HEADER) {
        return Some("send the header x-tracemill (any value) with what changes something");
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let may = authenticated || is_own(host);
    (!may).then_some(
        "ask by address or as localhost, or with credentials: a foreign name may lead here by no wish of yours",
    )
}

/// Whether a host is an address or the machine itself: a page can make a name of its own lead here, but no address.
fn is_own(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn pages_change_nothing() {
        let local = headers(&[("host", "127.0.0.1:9464")]);
        assert!(refuses(&local, false).is_some(), "a form can be posted from anywhere");
        for host in ["127.0.0.1:9464", "[::1]:9464", "localhost:9464", "10.1.2.3"] {
            let headers: HeaderMap =
                [(HEADER.parse().unwrap(), "1".parse().unwrap()), (header::HOST, host.parse().unwrap())]
                    .into_iter()
                    .collect();
            assert_eq!(refuses(&headers, false), None, "{host}");
        }
        // A page that has made its own name lead here may send any header.
        let rebound = headers(&[("host", "rebound.example:9464"), (HEADER, "1"), ("authorization", "Bearer x")]);
        assert!(refuses(&rebound, false).is_some(), "nobody has looked at its credentials");
        assert_eq!(refuses(&rebound, true), None, "somebody has");
    }
}
