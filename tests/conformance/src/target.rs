//! Where a server is that runs already, as the command line says it.

use anyhow::{Context as _, Result, bail, ensure};
use http::Uri;

const GRPC: u16 = 4317;
const HTTP: u16 = 4318;

/// Its two ends, `host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// OTLP/gRPC.
    pub grpc: String,
    /// OTLP/HTTP.
    pub http: String,
}

impl Target {
    /// `http://HOST` stands for OTLP's two ports there; a port in it is OTLP/HTTP's. `grpc` and `http` say otherwise. `None` where
    /// nothing is named.
    pub fn named(url: Option<&str>, grpc: Option<String>, http: Option<String>) -> Result<Option<Self>> {
        let of_url = match url {
            Some(url) => Some(parse(url).with_context(|| format!("--target {url}"))?),
            None => None,
        };
        let ends = match (of_url, grpc, http) {
            (None, None, None) => return Ok(None),
            (None, grpc, http) => grpc.zip(http),
            (Some(target), grpc, http) => Some((grpc.unwrap_or(target.grpc), http.unwrap_or(target.http))),
        };
        let Some((grpc, http)) = ends else { bail!("name both ends: --target http://HOST, or --grpc and --http") };
        Ok(Some(Self { grpc, http }))
    }
}

fn parse(url: &str) -> Result<Target> {
    let uri: Uri = url.parse().context("write http://HOST")?;
    ensure!(uri.scheme_str() == Some("http"), "write http://HOST: the suite speaks without TLS");
    ensure!(matches!(uri.path(), "" | "/") && uri.query().is_none(), "write http://HOST without a path");
    let host = uri.host().context("write http://HOST")?;
    let port = uri.port_u16().unwrap_or(HTTP);
    ensure!(port != GRPC, "a port here is OTLP/HTTP's: leave {GRPC} out, or name the ends with --grpc and --http");
    Ok(Target { grpc: format!("{host}:{GRPC}"), http: format!("{host}:{port}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(url: Option<&str>, grpc: Option<&str>, http: Option<&str>) -> Option<(String, String)> {
        let target = Target::named(url, grpc.map(str::to_owned), http.map(str::to_owned)).unwrap();
        target.map(|target| (target.grpc, target.http))
    }

    fn both(grpc: &str, http: &str) -> (String, String) {
        (grpc.to_owned(), http.to_owned())
    }

    #[test]
    fn one_url_stands_for_both_ports() {
        assert_eq!(named(None, None, None), None);
        assert_eq!(named(Some("http://a"), None, None), Some(both("a:4317", "a:4318")));
        assert_eq!(named(Some("http://[::1]:8000/"), None, None), Some(both("[::1]:4317", "[::1]:8000")));
        assert_eq!(named(Some("http://a"), Some("b:1"), None), Some(both("b:1", "a:4318")));
        assert_eq!(named(None, Some("b:1"), Some("b:2")), Some(both("b:1", "b:2")));
    }

    #[test]
    fn what_is_unclear_is_refused() {
        for url in ["a", "a:4317", "https://a", "http://a/v1/traces", "http://a:4317"] {
            assert!(Target::named(Some(url), None, None).is_err(), "{url}");
        }
        assert!(Target::named(None, Some("a:1".to_owned()), None).is_err());
    }
}
