//! What columns, conditions, sampling and JSON cost, in nanoseconds a span: `cargo run --release --example column_cost`.
//! 512 spans of about 600 bytes with 12 attributes; the best of many rounds on one thread.
#![expect(clippy::print_stdout, reason = "a report for people")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tracemill_otlp::batch::{Batch, Incoming, RequestContext};
use tracemill_otlp::columns::build::Builder;
use tracemill_otlp::columns::cache::Cache;
use tracemill_otlp::columns::fitting;
use tracemill_otlp::condition::{Condition, Filter, Operator};
use tracemill_otlp::edit::{Constant, Sampling};
use tracemill_otlp::json;
use tracemill_otlp::path::{Layout, Path, Want};
use tracemill_otlp::sampling::Sampler;
use tracemill_otlp::signal::Signal;
use tracemill_otlp::value::{self, Value};
use tracemill_otlp::wire;

const SPANS: u64 = 512;
const ROUTES: [&str; 8] =
    ["/health", "/cart", "/users/{id}", "/checkout", "/products/{id}", "/search", "/login", "/orders/{id}/items"];

fn main() {
    let request = Bytes::from(request());
    println!("{SPANS} spans of {} bytes", request.len() as u64 / SPANS);
    let incoming = [Incoming { body: request, context: Arc::new(RequestContext::default()) }];
    let mut batch = Batch::new();
    measure("index", || batch.load(&incoming).len());
    let rows: Vec<u32> = (0..batch.rows()).collect();
    let mut builder = Builder::default();
    for (path, layout) in [
        (r#"attributes["http.route"]"#, Layout::Words),
        (r#"attributes["http.route"]"#, Layout::Text),
        (r#"attributes["url.full"]"#, Layout::Words),
        (r#"attributes["url.full"]"#, Layout::Text),
        (r#"attributes["http.response.status_code"]"#, Layout::Integers),
        (r#"attributes["absent.key"]"#, Layout::Words),
        (r#"resource.attributes["service.name"]"#, Layout::Words),
        ("name", Layout::Words),
        ("name", Layout::Text),
        ("trace_id", Layout::Ids),
        ("trace_id", Layout::Text),
        ("duration", Layout::Integers),
    ] {
        let want = want(path, layout);
        measure(&format!("build {path} as {layout}"), || builder.build(&batch, &rows, &want).size());
    }
    gathers(&mut batch, &rows);
    filters(&batch, &rows);
    samples(&batch);
    from_json();
}

fn gathers(batch: &mut Batch, rows: &[u32]) {
    let wants = [want(r#"attributes["http.route"]"#, Layout::Words)];
    measure("fitting, one column of words", || fitting(batch, rows, &wants));
    let mut cache = Cache::default();
    measure("show, the column is there", || cache.show(batch, rows, &wants).columns.len());
    let written = [wants[0].path.clone()];
    measure("show, after a write to it", || {
        cache.invalidate(&written);
        cache.show(batch, rows, &wants).columns.len()
    });
    let fewer: Vec<u32> = rows.iter().copied().filter(|row| row % 10 < 7).collect();
    for layout in [Layout::Words, Layout::Text] {
        let wants = [want(r#"attributes["http.route"]"#, layout)];
        measure(&format!("show 70 % of the rows, gathered, as {layout}"), || {
            cache.show(batch, &fewer, &wants).columns.len()
        });
    }
}

fn filters(batch: &Batch, rows: &[u32]) {
    let condition = |path: &str, operator, values: &[&str]| Condition {
        path: path_of(path),
        operator,
        values: values.iter().map(|&value| Constant::Text(value.into())).collect(),
        negated: false,
    };
    let route = r#"attributes["http.route"]"#;
    let mut matching = Vec::new();
    for (name, lists) in [
        ("one prefix", vec![vec![condition(route, Operator::Prefix, &["/health"])]]),
        (
            "six equals and three prefixes of one path",
            vec![
                vec![condition(route, Operator::Equals, &["/a", "/b", "/c", "/d", "/e", "/f"])],
                vec![condition(route, Operator::Prefix, &["/health", "/ready", "/live"])],
            ],
        ),
        ("a resource's", vec![vec![condition(r#"resource.attributes["service.name"]"#, Operator::Equals, &["shop"])]]),
        ("a regular expression", vec![vec![condition(route, Operator::Matches, &["^/(health|ready)"])]]),
        ("strings contain", vec![vec![condition("strings", Operator::Contains, &["@example"])]]),
    ] {
        let filter = Filter::compile(&lists).expect("these conditions compile");
        measure(&format!("filter, {name}"), || {
            filter.select(batch, rows, &mut matching);
            matching.len()
        });
    }
}

fn samples(batch: &Batch) {
    let mut out = Vec::new();
    for (name, state) in
        [("no trace state", &b""[..]), ("ot=th", b"ot=th:4"), ("others too", b"a=1,ot=rv:ffffffffffffff;th:4")]
    {
        for how in [Sampling::Equalizing, Sampling::Proportional] {
            let sampler = Sampler::new(0.1, how).expect("a probability");
            measure(&format!("sample, {name}, {how:?}"), || {
                let spans = batch.spans().iter();
                spans.map(|span| sampler.sample(batch.get(span.trace_id), state, &mut out) as usize).sum()
            });
        }
    }
}

fn from_json() {
    let attribute = |i| format!(r#"{{"key":"some.attribute.{i}","value":{{"stringValue":"a value of some length"}}}}"#);
    let attributes: Vec<_> = (0..12).map(attribute).collect();
    let span = format!(
        r#"{{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","name":"GET /cart","kind":2,
           "startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000","attributes":[{}]}}"#,
        attributes.join(",")
    );
    let spans = vec![span; SPANS as usize].join(",");
    let text = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#);
    println!("JSON of {} bytes a span", text.len() as u64 / SPANS);
    measure("JSON to protobuf", || json::to_protobuf(Signal::Traces, text.as_bytes()).expect("it is valid").body.len());
}

fn path_of(text: &str) -> Path {
    text.parse().expect("a path")
}

fn want(path: &str, layout: Layout) -> Want {
    Want::new(path_of(path), layout).expect("a layout of the path")
}

/// Runs for a fifth of a second and prints the best round; nothing if the program's argument is not in the name.
fn measure(name: &str, mut round: impl FnMut() -> usize) {
    if std::env::args().nth(1).is_some_and(|wanted| !name.contains(&wanted)) {
        return;
    }
    let until = Instant::now() + Duration::from_millis(200);
    let mut best = Duration::MAX;
    while Instant::now() < until {
        let start = Instant::now();
        black_box(round());
        best = best.min(start.elapsed());
    }
    println!("{:9.1} ns/span  {name}", best.as_nanos() as f64 / SPANS as f64);
}

fn request() -> Vec<u8> {
    let mut scope_spans = Vec::new();
    for number in 0..SPANS {
        wire::put_bytes(&mut scope_spans, 2, &span(number));
    }
    let mut resource = Vec::new();
    for (key, text) in [("telemetry.sdk.language", "java"), ("service.name", "shop"), ("host.name", "a-host-4711")] {
        wire::put_bytes(&mut resource, 1, &pair(key, Value::Text(text.as_bytes())));
    }
    let mut resource_spans = Vec::new();
    wire::put_bytes(&mut resource_spans, 1, &resource);
    wire::put_bytes(&mut resource_spans, 2, &scope_spans);
    let mut request = Vec::new();
    wire::put_bytes(&mut request, 1, &resource_spans);
    request
}

fn span(number: u64) -> Vec<u8> {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let route = ROUTES[(mixed >> 40) as usize % ROUTES.len()];
    let url = format!("https://shop.example.com{route}?item={mixed}&page=2");
    let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0";
    let mut out = Vec::new();
    wire::put_bytes(&mut out, 1, &[mixed.to_be_bytes(), mixed.rotate_left(17).to_be_bytes()].concat());
    wire::put_bytes(&mut out, 2, &(number + 1).to_be_bytes());
    wire::put_bytes(&mut out, 4, &mixed.to_le_bytes());
    wire::put_bytes(&mut out, 5, format!("GET {route}").as_bytes());
    wire::put_varint_field(&mut out, 6, 2);
    wire::put_fixed64_field(&mut out, 7, 1_700_000_000_000_000_000 + number);
    wire::put_fixed64_field(&mut out, 8, 1_700_000_000_020_000_000 + number);
    for (key, value) in [
        ("http.request.method", Value::Text(b"GET")),
        ("url.scheme", Value::Text(b"https")),
        ("server.address", Value::Text(b"shop.example.com")),
        ("server.port", Value::Integer(443)),
        ("url.path", Value::Text(route.as_bytes())),
        ("http.route", Value::Text(route.as_bytes())),
        ("url.full", Value::Text(url.as_bytes())),
        ("user_agent.original", Value::Text(agent.as_bytes())),
        ("client.address", Value::Text(b"203.0.113.77")),
        ("network.protocol.version", Value::Text(b"1.1")),
        ("http.response.status_code", Value::Integer(200)),
        ("thread.name", Value::Text(b"http-nio-8080-exec-7")),
    ] {
        wire::put_bytes(&mut out, 9, &pair(key, value));
    }
    out
}

fn pair(key: &str, value: Value<'_>) -> Vec<u8> {
    let (mut body, mut out) = (Vec::new(), Vec::new());
    value::put(&mut body, value);
    value::put_pair(&mut out, key.as_bytes(), &body);
    out
}
