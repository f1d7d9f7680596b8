//! The OpenTelemetry Collector, with the processors that the work asks for.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use harness::client::Protocol;
use harness::process::{Process, free_ports};
use harness::sink::Sink;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::{Running, Setting, Steps, Subject, Work};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn start(work: Work, setting: &Setting, sink: &Sink) -> Result<Subject> {
    let backends::Obtained::Ready(binary) = backends::collector()? else {
        bail!("the Collector could not be built: is Go installed?")
    };
    let [grpc_port, http_port] = free_ports::<2>()?;
    let (grpc, http) = (format!("127.0.0.1:{grpc_port}"), format!("127.0.0.1:{http_port}"));
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("collector.yaml");
    let mut configured = configuration(work, sink, &grpc, &http)?;
    setting.of_collector(&mut configured);
    fs::write(&config, serde_json::to_string_pretty(&configured)?)?;
    let mut command = Command::new(binary);
    command.arg("--config").arg(&config);
    let mut process = Process::start("collector", command, &folder.path().join("log"))?;
    let open = async {
        while TcpStream::connect(&grpc).await.is_err() || TcpStream::connect(&http).await.is_err() {
            process.still_running()?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok::<_, anyhow::Error>(())
    };
    tokio::time::timeout(PATIENCE, open).await.context("the Collector did not open its ports")??;
    Ok(Subject { process: Running::Collector(Box::new(process), folder), grpc, http })
}

fn configuration(work: Work, sink: &Sink, grpc: &str, http: &str) -> Result<Value> {
    let compression = work.compression.name().replace("identity", "none");
    let (exporter, endpoint) = match work.protocol {
        Protocol::Grpc => ("otlp_grpc", json!(sink.address().to_string())),
        _ => ("otlp_http", json!(sink.url())),
    };
    let processors = match work.steps {
        Steps::PassThrough => json!({}),
        Steps::Four => four(),
        Steps::DropHealth | Steps::DropRoutes => json!({ "filter": filter() }),
        Steps::Renames => json!({ "attributes": { "actions": renames() } }),
        Steps::ScrubDefaults | Steps::FiveReaders | Steps::MarkSlow => {
            bail!("the Collector has nothing like {:?}", work.steps)
        }
    };
    let mut order: Vec<Value> = ["filter", "redaction", "attributes", "probabilistic_sampler"]
        .into_iter()
        .filter(|name| processors.get(name).is_some())
        .map(Into::into)
        .collect();
    order.push("batch".into());
    let mut all = processors;
    // The Collector's own defaults: 8,192 spans or 200 ms.
    all["batch"] = json!({});
    let message = json!(64);
    Ok(json!({
        "receivers": { "otlp": { "protocols": {
            "grpc": { "endpoint": grpc, "max_recv_msg_size_mib": message },
            "http": { "endpoint": http },
        } } },
        "processors": all,
        "exporters": { exporter: { "endpoint": endpoint, "compression": compression, "tls": { "insecure": true } } },
        "service": {
            "telemetry": { "metrics": { "level": "none" }, "logs": { "level": "warn" } },
            "pipelines": { "traces": { "receivers": ["otlp"], "processors": order, "exporters": [exporter] } },
        },
    }))
}

fn four() -> Value {
    json!({
        "filter": filter(),
        "redaction": { "allow_all_keys": true, "blocked_values": ["[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\\.[a-zA-Z]{2,}"], "summary": "silent" },
        "attributes": { "actions": [{ "key": "cloud.region", "value": "eu-central-1", "action": "upsert" }] },
        "probabilistic_sampler": { "sampling_percentage": 50 },
    })
}

/// The same routes as `drop-health` knows.
fn filter() -> Value {
    let conditions: Vec<String> =
        super::ROUTES.iter().map(|route| format!("attributes[\"http.route\"] == \"{route}\"")).collect();
    json!({ "error_mode": "ignore", "traces": { "span": conditions } })
}

fn renames() -> Vec<Value> {
    super::renames()
        .flat_map(|(old, new)| {
            let copy = json!({ "key": new, "from_attribute": old, "action": "upsert" });
            [copy, json!({ "key": old, "action": "delete" })]
        })
        .collect()
}
