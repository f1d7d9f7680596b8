//! The `export` section: one destination for each name. Without it, the environment that OpenTelemetry's SDKs read says where to.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use otlp::signal::Signal;
use pipeline::export::config::{
    Balance, BatchConfig, Compression, DestinationConfig, Endpoint, Identity, RetryConfig, TlsConfig, check_headers,
};

use super::env::Lookup;
use super::kafka;
use super::queue;
use super::table::Table;

mod endpoints;
pub(super) mod headers;
pub(super) mod when;

const MILLI: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_hours(1);

/// Reads one destination; `None` if it has no usable endpoint (the problem is noted).
pub(super) fn destination(name: &str, table: &mut Table<'_>) -> Option<DestinationConfig> {
    let kafka = kafka::export(table);
    let is_kafka = table.has("kafka");
    let endpoints = endpoints::read(table);
    // Everything is read, whatever is wrong with the endpoints, so that all errors are shown at once.
    let placeholder = || Endpoint::grpc("http://localhost").expect("a constant URL").into();
    let mut config = DestinationConfig::new(name, endpoints.clone().unwrap_or_else(placeholder));
    if let Some(Ok(of_kafka)) = kafka.clone().map(|kafka| DestinationConfig::kafka(name, kafka)) {
        config = of_kafka;
    }
    config.signals = signals(table).unwrap_or(config.signals);
    if config.endpoints.balance == Balance::ByTrace && config.signals.iter().any(|signal| *signal != Signal::Traces) {
        table.refuse("route_by", "is for traces only: give metrics and logs a destination of their own");
    }
    config.compression = table
        .choice("compression", &[("none", Compression::None), ("gzip", Compression::GZIP), ("zstd", Compression::ZSTD)])
        .unwrap_or(config.compression);
    let levels = match config.compression {
        Compression::None => 0..=0,
        Compression::Gzip(_) => 1..=12,
        Compression::Zstd(_) => 1..=19,
    };
    if let Some(level) = table.count("compression_level", levels) {
        config.compression = match config.compression {
            Compression::None => Compression::None,
            Compression::Gzip(_) => Compression::Gzip(level as u8),
            Compression::Zstd(_) => Compression::Zstd(level as u8),
        };
    }
    config.when = when::read(table);
    config.headers = headers::read(table);
    config.file_headers = headers::of_files(table, &config.headers);
    config.forward =
        table.texts("forward").iter().filter_map(|name| headers::name_of(table, "forward", name)).collect();
    config.timeout = table.duration("timeout", MILLI..=HOUR).unwrap_or(config.timeout);
    config.concurrency = table.count("concurrency", 1..=1000).map_or(config.concurrency, |count| count as usize);
    config.connections = table.count("connections", 1..=64).map_or(config.connections, |count| count as usize);
    config.queue = table.section("queue", queue::read);
    config.batch = table.section("batch", |table| batch(table, &config.batch));
    config.retry = table.section("retry", retry);
    config.tls = table.section("tls", tls);
    if config.queue.max_bytes < config.batch.max_bytes {
        table.refuse("queue", "`size` must not be below the size of a batch: a full batch would never fit");
    }
    if is_kafka {
        refuse_what_is_not_for_kafka(table);
        return kafka.map(|_| config);
    }
    endpoints.map(|_| config)
}

fn refuse_what_is_not_for_kafka(table: &Table<'_>) {
    for key in ["balance", "dns", "resolve_every", "route_by", "connections", "header_files", "authorization", "tls"] {
        let instead = if key == "tls" { ": there it is `kafka.tls`" } else { "" };
        if table.has(key) {
            table.refuse(key, format!("is not for a destination that is Kafka{instead}"));
        }
    }
}

fn signals(table: &mut Table<'_>) -> Option<Vec<Signal>> {
    let signals = table.choices("signals", &Signal::ALL.map(|signal| (signal.name(), signal)));
    if !table.has("signals") {
        return None;
    }
    if table.items("signals").is_empty() {
        table.refuse("signals", "must name at least one of traces, metrics, logs");
    }
    Some(signals)
}

fn batch(table: &mut Table<'_>, usual: &BatchConfig) -> BatchConfig {
    let max_bytes = table.size("size", 1..=(64 << 20)).map_or(usual.max_bytes, |bytes| bytes as usize);
    BatchConfig {
        max_bytes,
        max_items: table.count("spans", 1..=10_000_000).map_or(usual.max_items, |items| items as u32),
        timeout: table.duration("timeout", Duration::ZERO..=HOUR).unwrap_or(usual.timeout),
        max_request_bytes: table
            .size("max_request", (64 << 10)..=(1 << 30))
            // Who asks for larger batches means them to be sent.
            .map_or(usual.max_request_bytes.max(max_bytes), |bytes| bytes as usize),
    }
}

fn retry(table: &mut Table<'_>) -> RetryConfig {
    let usual = RetryConfig::default();
    let retry = RetryConfig {
        initial: table.duration("initial", MILLI..=HOUR).unwrap_or(usual.initial),
        max: table.duration("max", MILLI..=HOUR).unwrap_or(usual.max),
        max_elapsed: table.duration("max_elapsed", Duration::ZERO..=HOUR * 24 * 7).or(usual.max_elapsed),
    };
    if retry.initial > retry.max {
        table.refuse("initial", "must not be above `max`");
    }
    retry
}

fn tls(table: &mut Table<'_>) -> TlsConfig {
    let file = |text: String| PathBuf::from(text);
    let ca_file = table.text("ca_file").map(file);
    let identity = match (table.text("cert_file").map(file), table.text("key_file").map(file)) {
        (Some(cert_file), Some(key_file)) => Some(Identity { cert_file, key_file }),
        (None, None) => None,
        (Some(_), None) => {
            table.refuse("cert_file", "needs `key_file` beside it");
            None
        }
        (None, Some(_)) => {
            table.refuse("key_file", "needs `cert_file` beside it");
            None
        }
    };
    let include_system_roots = table.flag("system_roots").unwrap_or(false);
    let min_version = super::tls::min_version(table);
    TlsConfig { ca_file, include_system_roots, identity, server_name: table.text("server_name"), min_version }
}

/// The destination that `OTEL_EXPORTER_OTLP_*` names, if any. The error says which variable is wrong.
pub(super) fn from_environment(lookup: Lookup<'_>) -> Result<Option<DestinationConfig>, String> {
    let either = |name: &str| {
        let traces = lookup(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}")).filter(|value| !value.is_empty());
        traces.or_else(|| lookup(&format!("OTEL_EXPORTER_OTLP_{name}")).filter(|value| !value.is_empty()))
    };
    let Some(url) = either("ENDPOINT") else { return Ok(None) };
    let is_traces_url = lookup("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").is_some_and(|value| !value.is_empty());
    // The specification's own default is http/protobuf.
    let endpoint = match either("PROTOCOL").as_deref() {
        Some("grpc") => Endpoint::grpc(&url),
        None | Some("http/protobuf") if is_traces_url => Endpoint::http_traces(&url),
        None | Some("http/protobuf") => Endpoint::http(&url),
        Some(other) => return Err(format!("OTEL_EXPORTER_OTLP_PROTOCOL is {other}, write grpc or http/protobuf")),
    };
    let endpoint = endpoint.map_err(|error| format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}"))?;
    let mut config = DestinationConfig::new("otlp", endpoint);
    for pair in either("HEADERS").unwrap_or_default().split(',').filter(|pair| !pair.trim().is_empty()) {
        let header = pair.split_once('=').and_then(|(name, value)| {
            let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
            let mut value = HeaderValue::from_str(&percent_decoded(value.trim())).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        let (name, value) =
            header.ok_or("OTEL_EXPORTER_OTLP_HEADERS must be name=value pairs, with commas between them")?;
        config.headers.append(name, value);
    }
    check_headers(&config.headers).map_err(|error| format!("OTEL_EXPORTER_OTLP_HEADERS: {error}"))?;
    match either("COMPRESSION").as_deref() {
        None => {}
        Some("gzip") => config.compression = Compression::GZIP,
        Some("none") => config.compression = Compression::None,
        Some(other) => return Err(format!("OTEL_EXPORTER_OTLP_COMPRESSION is {other}, write gzip or none")),
    }
    if let Some(millis) = either("TIMEOUT") {
        let time = millis.parse().map(Duration::from_millis);
        config.timeout = time.map_err(|_| "OTEL_EXPORTER_OTLP_TIMEOUT must be a number of milliseconds")?;
    }
    Ok(Some(config))
}

/// The header list is written as W3C baggage: values may be percent-encoded.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| byte == b'%').and_then(|code| std::str::from_utf8(code).ok());
        let decoded = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(decoded.unwrap_or(byte));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use pipeline::export::config::Protocol;

    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Option<DestinationConfig>, String> {
        from_environment(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_of_the_sdks_names_a_destination() {
        assert_eq!(from(&[]), Ok(None));
        assert_eq!(from(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), Ok(None));
        let http =
            from(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=1, b=x%20y")]);
        let http = http.unwrap().unwrap();
        assert_eq!(http.endpoints.first().uri(Signal::Traces).to_string(), "http://c:4318/v1/traces");
        assert_eq!(http.signals, [Signal::Traces]);
        assert_eq!(http.headers["b"], "x y");
        let grpc = from(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
        assert_eq!(grpc.unwrap().unwrap().endpoints.protocol(), Protocol::Grpc);
        let traces = from(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318/in")]).unwrap().unwrap();
        assert_eq!(traces.endpoints.first().uri(Signal::Traces).to_string(), "http://c:4318/in");
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let url = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
        for (name, value) in
            [("PROTOCOL", "thrift"), ("HEADERS", "novalue"), ("COMPRESSION", "lzma"), ("TIMEOUT", "soon")]
        {
            let name = format!("OTEL_EXPORTER_OTLP_{name}");
            assert!(from(&[url, (&name, value)]).unwrap_err().contains(&name), "{name}");
        }
        assert!(
            from(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4318")]).unwrap_err().contains("OTEL_EXPORTER_OTLP_ENDPOINT")
        );
    }
}
