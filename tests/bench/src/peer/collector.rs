//! The OpenTelemetry Collector, with the processors that the work asks for.

use anyhow::{Result, bail};
use harness::Collector;
use harness::client::Protocol;
use harness::sink::Sink;
use serde_json::{Value, json};

use super::{Running, Setting, Steps, Subject, Work};

pub async fn start(work: Work, setting: &Setting, sink: &Sink) -> Result<Subject> {
    let binary = backends::collector()?.or_fail("the Collector's side")?;
    let mut configured = configuration(work, sink)?;
    let metrics = setting.of_collector(&mut configured)?;
    let collector = Collector::start(&binary, configured).await?;
    let (grpc, http) = (collector.grpc().to_owned(), collector.http().to_owned());
    Ok(Subject { process: Running::Collector(Box::new(collector)), grpc, http, metrics })
}

fn configuration(work: Work, sink: &Sink) -> Result<Value> {
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
        Steps::ScrubDefaults
        | Steps::FiveReaders
        | Steps::MarkSlow
        | Steps::DropAll
        | Steps::SpanMetrics
        | Steps::ServiceGraph => {
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
    Ok(json!({
        "receivers": { "otlp": { "protocols": { "grpc": { "max_recv_msg_size_mib": 64 }, "http": {} } } },
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
