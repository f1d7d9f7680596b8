//! Real SDKs through the real binary into real Jaeger, in quiet and through what happens in operation: every span that an SDK
//! was told is accepted is there in the end.
//!
//! They take minutes and many tool chains, so they run only where they are asked for: `cargo xtask test --full`.

mod after;
mod cases;

use harness::Protocol;
use harness::sender::App;

/// A module for each sender with a test for each case.
macro_rules! matrix {
    ($($name:ident: $app:ident, $protocol:ident;)*) => {
        const MATRIX: &[(App, Protocol)] = &[$((App::$app, Protocol::$protocol)),*];
        $(mod $name {
            use crate::cases;
            use anyhow::Result;
            use harness::Protocol;
            use harness::sender::App;

            #[tokio::test]
            #[ignore = "long: cargo xtask test --full"]
            async fn loses_nothing_in_quiet() -> Result<()> {
                cases::quiet(App::$app, Protocol::$protocol).await
            }

            #[tokio::test]
            #[ignore = "long: cargo xtask test --full"]
            async fn loses_nothing_that_was_accepted_when_the_proxy_is_restarted() -> Result<()> {
                cases::restart(App::$app, Protocol::$protocol).await
            }

            #[tokio::test]
            #[ignore = "long: cargo xtask test --full"]
            async fn loses_nothing_while_the_back_end_is_down() -> Result<()> {
                cases::back_end_down(App::$app, Protocol::$protocol).await
            }

            #[tokio::test]
            #[ignore = "long: cargo xtask test --full"]
            async fn loses_nothing_that_was_accepted_when_the_back_end_is_slow() -> Result<()> {
                cases::back_end_slow(App::$app, Protocol::$protocol).await
            }
        })*
    };
}

matrix! {
    node_grpc: Node, Grpc;
    node_http_protobuf: Node, HttpProtobuf;
    node_http_json: Node, HttpJson;
    nest_http_protobuf: Nest, HttpProtobuf;
    python_grpc: Python, Grpc;
    python_http_protobuf: Python, HttpProtobuf;
    go_grpc: Go, Grpc;
    go_http_protobuf: Go, HttpProtobuf;
    java_grpc: Java, Grpc;
    java_http_protobuf: Java, HttpProtobuf;
    browser_http_json: Browser, HttpJson;
}

#[test]
fn every_sender_is_in_the_matrix_with_all_that_it_speaks() {
    let all = App::ALL.iter().flat_map(|app| app.protocols().iter().map(|protocol| (*app, *protocol)));
    assert_eq!(all.collect::<Vec<_>>(), MATRIX);
}

#[tokio::test]
#[ignore = "long: cargo xtask test --full"]
async fn a_page_of_an_origin_that_is_not_listed_can_send_nothing() -> anyhow::Result<()> {
    cases::strange_origin().await
}
