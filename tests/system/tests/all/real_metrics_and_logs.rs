//! Metrics and logs of real SDKs through the proxy into a real Prometheus and a real Loki, read back by their own query APIs.
//!
//! Both take minutes to build, so this belongs to `cargo xtask test --full`.

use anyhow::Result;
use harness::sdk;
use harness::{Loki, Prometheus, Protocol, Proxy};
use serde_json::json;

#[tokio::test]
#[ignore = "long: cargo xtask test --full"]
async fn what_sdks_measure_and_write_is_in_prometheus_and_loki() -> Result<()> {
    let sdks = sdk::at_hand("Prometheus and Loki")?;
    let (Some(prometheus), Some(loki)) = (Prometheus::start().await?, Loki::start().await?) else { return Ok(()) };
    let setup = Proxy::setup()?
        .set("export.prometheus", json!({ "http": prometheus.otlp_url(), "signals": ["metrics"] }))
        .set("export.loki", json!({ "http": loki.otlp_url(), "signals": ["logs"] }));
    setup
        .run(async |proxy| {
            let mut sent = Vec::new();
            for &sdk in &sdks {
                for &protocol in sdk.protocols() {
                    let ports = proxy.ports();
                    let address = if protocol == Protocol::Grpc { &ports.grpc } else { &ports.http };
                    let service = format!("orders-{}", sent.len());
                    sent.push(sdk.send_metrics_and_logs(protocol, address, &service).await?);
                }
            }
            for of in &sent {
                let service = &of.service;
                let counter = format!("orders_placed_total{{service_name=\"{service}\"}}");
                let labels = prometheus.value(&counter, of.counter.into()).await?;
                assert_eq!((labels["region"].as_str(), labels["job"].as_str()), (Some("eu"), Some(service.as_str())));
                for (part, value) in [("count", of.observations), ("sum", of.observed)] {
                    let series = format!("orders_amount_bytes_{part}{{service_name=\"{service}\"}}");
                    prometheus.value(&series, value.into()).await?;
                }
                let lines = loki.lines(&format!("{{service_name=\"{service}\"}}"), of.lines.len()).await?;
                assert_eq!(lines.len(), of.lines.len(), "{lines:?}");
                // Both may have been written within one millisecond, which is as much as some SDKs tell.
                for (text, severity) in of.lines.iter().zip(["INFO", "ERROR"]) {
                    let line = lines.iter().find(|line| line.text == *text);
                    let line = line.unwrap_or_else(|| panic!("{text:?} is not there: {lines:?}"));
                    assert_eq!(line.labels["severity_text"], severity, "{line:?}");
                    assert!(line.labels["order_id"].is_string(), "{line:?}");
                }
            }
            let accounts = proxy.settled().await?;
            for (signal, name) in [("metrics", "prometheus"), ("logs", "loki")] {
                let account = accounts.destination_of(signal, name).expect("an account");
                assert!(account.sent >= 2 * sent.len() as u64, "{account:?}");
                assert_eq!((account.rejected, account.dropped), (0, 0), "{account:?}");
            }
            Ok(())
        })
        .await
}
