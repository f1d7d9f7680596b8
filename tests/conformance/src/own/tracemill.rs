//! A shape as tracemill's configuration.

use super::shape::{Chain, Mode, Over, Shape, service};
use anyhow::Result;
use harness::proxy::Setup;
use harness::{Proxy, Sink};
use serde_json::{Value, json};

/// With these destinations.
pub fn setup(shape: &Shape, sinks: &[(&str, &Sink)]) -> Result<Setup> {
    let mut setup = Proxy::setup()?;
    for (name, sink) in sinks {
        setup = destination(setup, shape, name, sink);
    }
    if let Some(patience) = shape.patience {
        let patience = format!("{}ms", patience.as_millis());
        setup =
            setup.set("receive.limits.header_timeout", patience.clone()).set("receive.limits.body_timeout", patience);
    }
    if let Some((origin, header)) = shape.cors {
        setup = setup.set("receive.http.cors", json!({ "origins": [origin], "headers": [header], "max_age": "10m" }));
    }
    chain(setup, &shape.chain)
}

fn destination(setup: Setup, shape: &Shape, name: &str, sink: &Sink) -> Setup {
    let url = sink.url();
    let (protocol, url) = match shape.over {
        Over::Grpc => ("grpc", url),
        Over::Http(base) => ("http", format!("{url}{base}")),
        // Only the environment can name such an endpoint, and then the configuration must name none.
        Over::HttpTraces(path) => return setup.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &format!("{url}{path}")),
    };
    let mut settings =
        json!({ protocol: url, "signals": ["traces", "metrics", "logs"], "batch": { "timeout": "10ms" } });
    if let Some(bytes) = shape.queue {
        settings["queue"] = json!({ "size": format!("{bytes}B") });
    }
    if let Some(initial) = shape.retry {
        settings["retry"] = json!({ "initial": format!("{}ms", initial.as_millis()), "max": "2s" });
        settings["batch"] = json!({ "spans": 1, "timeout": "0s" });
    }
    if let Some(bytes) = shape.max_request {
        settings["batch"]["max_request"] = format!("{bytes}B").into();
        settings["batch"]["size"] = format!("{bytes}B").into();
    }
    setup.set(&format!("export.{name}"), settings)
}

fn chain(setup: Setup, chain: &Chain) -> Result<Setup> {
    match chain {
        Chain::Empty => Ok(setup),
        Chain::Edits => {
            let marks = json!({ "attributes": { "conformance": true }, "resource": { "conformance": true } });
            let setup = setup.plugin("10-drop-health", "drop-health")?.plugin("20-enrich", "enrich")?;
            setup.sidecar("20-enrich", &json!({ "settings": marks }))
        }
        Chain::Sample(mode, rates) => {
            setup.plugin("10-sample", "sample")?.sidecar("10-sample", &json!({ "settings": sample(*mode, rates) }))
        }
    }
}

fn sample(mode: Mode, rates: &[f64]) -> Value {
    let rule = |(number, rate): (usize, &f64)| json!({ "service": service(number), "rate": rate });
    let rules: Vec<Value> = rates.iter().enumerate().map(rule).collect();
    json!({ "mode": mode.name(), "rules": rules, "keep": { "errors": false } })
}
