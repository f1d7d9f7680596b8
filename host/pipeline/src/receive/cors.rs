//! CORS: which web pages may send spans by OTLP/HTTP. Browsers ask before they send (a preflight), and hide an answer from the page
//! unless it names the page's origin; so every answer does, refusals too.

use std::str::FromStr;
use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, RETRY_AFTER, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};

use super::reply::Reply;

/// Which web pages may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Where the pages come from.
    pub origins: Vec<Origin>,
    /// Headers that pages may send beside `content-type` and `content-encoding`.
    pub headers: Vec<HeaderName>,
    /// How long a browser may remember what it was allowed; it counts in seconds.
    pub max_age: Duration,
}

/// One origin, or a pattern of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `*`: every page of every site, but without its credentials.
    Any,
    /// `https://app.example`.
    Is(String),
    /// `https://*.example` or `http://localhost:*`: the star stands for one or more letters, digits, dots and hyphens, so that it
    /// never reaches from a host into its port.
    Like {
        /// What stands before the star.
        before: String,
        /// What stands behind it.
        after: String,
    },
}

/// Not an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an origin is written SCHEME://HOST or SCHEME://HOST:PORT, without a path; one star may stand in it, or for all of it"
)]
pub struct OriginError;

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let text = text.to_ascii_lowercase();
        let (scheme, rest) = text.split_once("://").ok_or(OriginError)?;
        let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let in_host = |byte: u8| is_wild(byte) || b"*:[]_".contains(&byte);
        if scheme.is_empty() || !scheme.bytes().all(in_scheme) || rest.is_empty() || !rest.bytes().all(in_host) {
            return Err(OriginError);
        }
        match text.split_once('*') {
            None => Ok(Self::Is(text)),
            Some((_, after)) if after.contains('*') => Err(OriginError),
            Some((before, after)) => Ok(Self::Like { before: before.to_owned(), after: after.to_owned() }),
        }
    }
}

impl Origin {
    fn names(&self, origin: &str) -> bool {
        match self {
            Self::Any => false,
            Self::Is(own) => own == origin,
            Self::Like { before, after } => {
                let star = origin.strip_prefix(&**before).and_then(|rest| rest.strip_suffix(&**after));
                star.is_some_and(|star| !star.is_empty() && star.bytes().all(is_wild))
            }
        }
    }
}

/// What a star may stand for.
fn is_wild(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-'
}

/// The policy, with its headers ready to be sent.
#[derive(Debug)]
pub(super) struct Policy {
    origins: Vec<Origin>,
    headers: HeaderValue,
    max_age: HeaderValue,
}

/// What the page that a request came from is told.
#[derive(Debug)]
pub(super) enum Page {
    /// Not from a page, or from one that may not send: nothing.
    Stranger,
    Anyone,
    Known(HeaderValue),
}

impl Policy {
    /// Where credentials are asked for, pages may send them.
    pub fn new(cors: Cors, with_credentials: bool) -> Self {
        let always = ["content-type", "content-encoding"];
        let always = always.into_iter().chain(with_credentials.then_some("authorization"));
        let names: Vec<&str> = always.chain(cors.headers.iter().map(HeaderName::as_str)).collect();
        let headers = HeaderValue::try_from(names.join(", ")).expect("names of headers are values of headers");
        Self { origins: cors.origins, headers, max_age: cors.max_age.as_secs().into() }
    }

    pub fn page(&self, headers: &HeaderMap) -> Page {
        let Some(value) = headers.get(ORIGIN) else { return Page::Stranger };
        let origin = value.to_str().unwrap_or_default().to_ascii_lowercase();
        if self.origins.iter().any(|known| known.names(&origin)) {
            Page::Known(value.clone())
        } else if self.origins.contains(&Origin::Any) {
            Page::Anyone
        } else {
            Page::Stranger
        }
    }

    /// Answers a browser's question whether the page may send. A page that may not is told nothing, which is a no.
    pub fn preflight(&self, page: &Page) -> Response<Reply> {
        let mut response = Response::new(Reply::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        if !matches!(page, Page::Stranger) {
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
            headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        }
        response
    }
}

/// Whether a browser asks what it may send.
pub(super) fn is_preflight<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

impl Page {
    /// Lets the page see the answer, and keeps caches from showing it to another.
    pub fn mark(self, answer: &mut Response<Reply>) {
        let is_preflight = answer.status() == StatusCode::NO_CONTENT;
        let headers = answer.headers_mut();
        headers.append(VARY, ORIGIN.into());
        if is_preflight {
            headers.append(VARY, ACCESS_CONTROL_REQUEST_METHOD.into());
            headers.append(VARY, ACCESS_CONTROL_REQUEST_HEADERS.into());
        } else if !matches!(self, Self::Stranger) {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RETRY_AFTER.into());
        }
        match self {
            Self::Stranger => {}
            Self::Anyone => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            }
            Self::Known(origin) => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                // `sendBeacon`, by which pages send what they have left when they are closed, always sends cookies along.
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_a_part_of_a_host_or_a_port_and_for_nothing_else() {
        let names = |pattern: &str, origin: &str| pattern.parse::<Origin>().expect(pattern).names(origin);
        assert!(names("https://App.example", "https://app.example"));
        assert!(names("https://*.example", "https://a.b-1.example"));
        assert!(names("http://localhost:*", "http://localhost:3000"));
        for (pattern, other) in [
            ("https://app.example", "http://app.example"),
            ("https://app.example", "https://app.example:8443"),
            ("https://*.example", "https://example"),
            ("https://*.example", "https://.example"),
            ("https://*.example", "https://app.example.evil"),
            ("https://*.example", "https://evil:1@.example"),
            ("https://*.example", "https://evil/.example"),
            ("https://app*", "https://app:443"),
            ("*", "null"),
        ] {
            assert!(!names(pattern, other), "{pattern} takes {other}");
        }
    }

    #[test]
    fn what_no_browser_would_send_is_no_origin() {
        for text in
            ["", "null", "app.example", "https://", "://x", "https://x/", "https://*.*.x", "https://a b", "ä://x"]
        {
            assert_eq!(text.parse::<Origin>(), Err(OriginError), "{text}");
        }
    }
}
