//! The checklist's H19, as browsers ask it: preflights and what follows them, from pages that may send and from others.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tracemill_pipeline::receive::Cors;
use tracemill_pipeline::request::Refusal;

use super::http1::{PROTOBUF, Reply, connect, post, raw, read};
use super::support::{Server, request, start};

async fn allowing(origins: &[&str]) -> Server {
    let origins = origins.iter().map(|origin| origin.parse().unwrap()).collect();
    let headers = vec!["X-Tenant".parse().unwrap()];
    start(|config| config.cors = Some(Cors { origins, headers, max_age: Duration::from_mins(10) })).await
}

/// The values of a header; the head is in lower case.
fn header<'a>(reply: &'a Reply, name: &str) -> Vec<&'a str> {
    reply.head.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
}

fn allowed_origin(reply: &Reply) -> Vec<&str> {
    header(reply, "access-control-allow-origin")
}

async fn preflight(server: &Server, origin: &str) -> Reply {
    let mut stream = connect(server).await;
    let origin = format!("origin: {origin}");
    let asked = ["access-control-request-method: POST", "access-control-request-headers: content-type,x-tenant"];
    stream.write_all(&raw("OPTIONS /v1/traces", &[&[&*origin][..], &asked].concat(), b"")).await.unwrap();
    read(&mut stream).await
}

#[tokio::test]
async fn h19_a_preflight_from_a_listed_origin_is_told_all_it_may() {
    let server = allowing(&["https://app.example", "https://*.shop.example", "http://localhost:*"]).await;
    for origin in ["https://app.example", "https://eu.shop.example", "http://localhost:5173"] {
        let reply = preflight(&server, origin).await;
        assert_eq!(reply.code, 204, "{origin}");
        assert_eq!(allowed_origin(&reply), [origin]);
        assert_eq!(header(&reply, "access-control-allow-methods"), ["post"]);
        assert_eq!(header(&reply, "access-control-allow-headers"), ["content-type, content-encoding, x-tenant"]);
        assert_eq!(header(&reply, "access-control-allow-credentials"), ["true"]);
        assert_eq!(header(&reply, "access-control-max-age"), ["600"]);
        let vary = ["origin", "access-control-request-method", "access-control-request-headers"];
        assert_eq!(header(&reply, "vary"), vary);
    }
    assert!(server.handler.bodies().is_empty());
    assert!(
        server.metrics().contains(r#"requests_total{protocol="http",signal="traces",outcome="refused"} 0"#),
        "{}",
        server.metrics()
    );
}

#[tokio::test]
async fn h19_a_preflight_from_elsewhere_is_told_nothing() {
    let server = allowing(&["https://app.example", "https://*.shop.example"]).await;
    for origin in ["https://evil.example", "https://shop.example", "http://app.example", "null"] {
        let reply = preflight(&server, origin).await;
        assert_eq!(reply.code, 204, "{origin}");
        assert!(!reply.head.contains("access-control-allow"), "{origin}: {}", reply.head);
        assert_eq!(header(&reply, "vary")[0], "origin");
    }
}

#[tokio::test]
async fn h19_answers_and_refusals_can_be_read_by_listed_pages_and_by_no_other() {
    let server = allowing(&["https://app.example"]).await;
    let mut stream = connect(&server).await;
    let (own, other) = (["origin: https://app.example"], ["origin: https://evil.example"]);
    let down = Refusal::unavailable(Duration::from_secs(7), "the queue is full");
    for (code, kind, refuses) in [(200, PROTOBUF, None), (415, "text/plain", None), (503, PROTOBUF, Some(down))] {
        *server.handler.refuses.lock() = refuses;
        let reply = post(&mut stream, kind, &own, &request(100)).await;
        assert_eq!(reply.code, code);
        assert_eq!(allowed_origin(&reply), ["https://app.example"]);
        assert_eq!(header(&reply, "access-control-allow-credentials"), ["true"]);
        assert_eq!(header(&reply, "access-control-expose-headers"), ["retry-after"]);
        assert_eq!(header(&reply, "vary"), ["origin"]);
        for headers in [&other[..], &[]] {
            let reply = post(&mut stream, kind, headers, &request(100)).await;
            assert_eq!((reply.code, header(&reply, "vary")), (code, vec!["origin"]));
            assert!(!reply.head.contains("access-control"), "{headers:?}: {}", reply.head);
        }
    }
    // CORS keeps nobody out who is no browser.
    assert_eq!(server.handler.bodies().len(), 3);
}

#[tokio::test]
async fn h19_with_a_star_every_page_may_send_but_only_listed_ones_with_credentials() {
    let server = allowing(&["*", "https://app.example"]).await;
    let listed = preflight(&server, "https://app.example").await;
    assert_eq!(allowed_origin(&listed), ["https://app.example"]);
    let other = preflight(&server, "https://other.example").await;
    assert_eq!((other.code, allowed_origin(&other)), (204, vec!["*"]));
    assert!(header(&other, "access-control-allow-credentials").is_empty(), "{}", other.head);
}

#[tokio::test]
async fn h19_without_the_setting_browsers_are_told_nothing() {
    let server = start(|_| {}).await;
    let reply = preflight(&server, "https://app.example").await;
    assert_eq!(reply.code, 405);
    let answer = post(&mut connect(&server).await, PROTOBUF, &["origin: https://app.example"], b"").await;
    assert_eq!(answer.code, 200);
    for reply in [reply, answer] {
        assert!(!reply.head.contains("access-control") && !reply.head.contains("vary"), "{}", reply.head);
    }
}

#[tokio::test]
async fn h19_options_that_is_no_preflight_is_refused_as_any_other_method() {
    let server = allowing(&["https://app.example"]).await;
    let mut stream = connect(&server).await;
    stream.write_all(&raw("OPTIONS /v1/traces", &["origin: https://app.example"], b"")).await.unwrap();
    assert_eq!(read(&mut stream).await.code, 405);
}
