//! Guests that are not Rust, built from the contract with their own tool chains: they drop health checks as well.
//!
//! Building them takes minutes, so they run only where they are asked for: `cargo xtask test --full`.

use anyhow::Result;
use backends::Obtained;
use harness::{Generator, Profile, Proxy, Sink};
use serde_json::json;
use std::fs;

async fn drops_health_checks(who: &str, guest: fn() -> Result<Obtained>) -> Result<()> {
    let file = guest()?.or_fail(who)?;
    let sink = Sink::start().await?;
    // They bring whole interpreters with them: more memory and time than a guest in Rust takes.
    let roomy = json!({ "memory": "256MiB", "deadline": "5s" });
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .file("10-guest.wasm", &fs::read(file)?)?
        .sidecar("10-guest", &roomy)?;
    setup
        .run(async |proxy| {
            let made = Generator::new(Profile::Medium, 131).request(500);
            assert!(!made.health.is_empty());
            assert!(proxy.grpc().send(&made.request).await?.is_whole());
            let kept = made.ids.len() - made.health.len();
            sink.wait_for_spans(kept as u64).await?;
            proxy.settled().await?;
            sink.arrivals(|arrivals| {
                assert_eq!(arrivals.ids.len(), kept, "{who}");
                assert!(made.health.iter().all(|id| !arrivals.ids.contains_key(id)), "{who}");
            });
            Ok(())
        })
        .await
}

#[tokio::test]
#[ignore = "long: cargo xtask test --full"]
async fn a_javascript_guest_drops_health_checks() -> Result<()> {
    drops_health_checks("the guest in JavaScript", backends::javascript_guest).await
}

#[tokio::test]
#[ignore = "long: cargo xtask test --full"]
async fn a_python_guest_drops_health_checks() -> Result<()> {
    drops_health_checks("the guest in Python", backends::python_guest).await
}
