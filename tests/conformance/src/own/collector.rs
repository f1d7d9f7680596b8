//! A shape as the Collector's configuration.

use super::shape::{Chain, Over, Shape, service};
use crate::subject::DEFAULT_LIMIT;
use harness::Sink;
use serde_json::{Map, Value, json};

/// With these destinations.
pub fn configuration(shape: &Shape, sinks: &[(&str, &Sink)]) -> Value {
    let (kind, keys) = match shape.over {
        Over::Grpc => ("otlp_grpc", "endpoint"),
        Over::Http(_) => ("otlp_http", "endpoint"),
        Over::HttpTraces(_) => ("otlp_http", "traces_endpoint"),
    };
    let mut exporters = Map::new();
    for (name, sink) in sinks {
        let endpoint = match shape.over {
            Over::Grpc => sink.address().to_string(),
            Over::Http(path) | Over::HttpTraces(path) => format!("{}{path}", sink.url()),
        };
        exporters.insert(format!("{kind}/{name}"), exporter(shape, keys, &endpoint));
    }
    let names: Vec<String> = exporters.keys().cloned().collect();
    let (processors, mut pipelines) = chain(&shape.chain, &names);
    if !matches!(shape.over, Over::HttpTraces(_)) {
        for signal in ["metrics", "logs"] {
            pipelines.insert(signal.to_owned(), json!({ "receivers": ["otlp"], "exporters": names }));
        }
    }
    json!({
        "receivers": { "otlp": { "protocols": protocols(shape) } },
        "processors": processors,
        "exporters": exporters,
        "service": {
            "telemetry": { "metrics": { "level": "none" }, "logs": { "level": "warn" } },
            "pipelines": pipelines,
        },
    })
}

fn protocols(shape: &Shape) -> Value {
    // Its own defaults are 4 MiB and 20 MiB.
    let mut http = json!({ "max_request_body_size": DEFAULT_LIMIT });
    if let Some(patience) = shape.patience {
        let patience = format!("{}ms", patience.as_millis());
        http["read_header_timeout"] = patience.clone().into();
        http["read_timeout"] = patience.into();
    }
    if let Some((origin, header)) = shape.cors {
        let headers = ["content-type", "content-encoding", header];
        http["cors"] = json!({ "allowed_origins": [origin], "allowed_headers": headers, "max_age": 600 });
    }
    json!({ "grpc": { "max_recv_msg_size_mib": DEFAULT_LIMIT >> 20 }, "http": http })
}

fn exporter(shape: &Shape, key: &str, endpoint: &str) -> Value {
    let mut exporter = json!({ key: endpoint, "tls": { "insecure": true } });
    let mut queue = Map::new();
    if let Some(bytes) = shape.queue {
        queue.insert("sizer".to_owned(), "bytes".into());
        queue.insert("queue_size".to_owned(), bytes.into());
    }
    if let Some(bytes) = shape.max_request {
        let batch = json!({ "sizer": "bytes", "min_size": 0, "max_size": bytes, "flush_timeout": "10ms" });
        queue.insert("batch".to_owned(), batch);
    }
    if !queue.is_empty() {
        exporter["sending_queue"] = queue.into();
    }
    if let Some(initial) = shape.retry {
        let initial = format!("{}ms", initial.as_millis());
        exporter["retry_on_failure"] =
            json!({ "initial_interval": initial, "max_interval": "2s", "max_elapsed_time": "0s" });
    }
    exporter
}

/// Processors, and the pipelines of traces.
fn chain(chain: &Chain, exporters: &[String]) -> (Map<String, Value>, Map<String, Value>) {
    let (mut processors, mut pipelines) = (Map::new(), Map::new());
    let pipeline =
        |processors: Value| json!({ "receivers": ["otlp"], "processors": processors, "exporters": exporters });
    let only = |condition: String| json!({ "error_mode": "ignore", "traces": { "span": [condition] } });
    match chain {
        Chain::Empty => {
            pipelines.insert("traces".to_owned(), pipeline(json!([])));
        }
        Chain::Edits => {
            let mark = json!({ "actions": [{ "key": "conformance", "value": true, "action": "upsert" }] });
            processors.insert("filter".to_owned(), only(r#"name == "GET /healthz""#.to_owned()));
            processors.insert("attributes".to_owned(), mark);
            pipelines.insert("traces".to_owned(), pipeline(json!(["filter", "attributes"])));
        }
        // A pipeline for each probability, which all get everything.
        Chain::Sample(mode, rates) => {
            for (number, rate) in rates.iter().enumerate() {
                let (filter, sampler) = (format!("filter/{number}"), format!("probabilistic_sampler/{number}"));
                let others = format!(r#"resource.attributes["service.name"] != "{}""#, service(number));
                pipelines.insert(format!("traces/{number}"), pipeline(json!([filter, sampler])));
                processors.insert(filter, only(others));
                processors.insert(sampler, json!({ "mode": mode.name(), "sampling_percentage": rate * 100.0 }));
            }
        }
    }
    (processors, pipelines)
}
