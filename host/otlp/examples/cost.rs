//! What the crate's steps cost, in nanoseconds a span: `cargo run --release -p tracemill-otlp --example cost`.
#![allow(clippy::print_stdout, reason = "prints figures")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tracemill_otlp::batch::{Batch, Incoming, RequestContext};
use tracemill_otlp::columns::{Cells, Texts, entries};
use tracemill_otlp::edit::apply::apply;
use tracemill_otlp::edit::{Constant, Edit, Mode, Rows, Values};
use tracemill_otlp::encode::encode;
use tracemill_otlp::path::Path;
use tracemill_otlp::shown::Shown;
use tracemill_otlp::value::{self, Value};
use tracemill_otlp::wire;

const SPANS: u32 = 512;

/// Spans of about 600 bytes with 12 attributes, as an HTTP server's.
fn request() -> Bytes {
    let mut scope_spans = Vec::new();
    for number in 0..u64::from(SPANS) {
        let mut span = Vec::new();
        wire::put_bytes(&mut span, 1, &[number.to_be_bytes(), (!number).to_be_bytes()].concat());
        wire::put_bytes(&mut span, 2, &(number + 1).to_be_bytes());
        wire::put_bytes(&mut span, 5, b"GET /api/v1/orders/{id}");
        wire::put_varint_field(&mut span, 6, 2);
        wire::put_fixed64_field(&mut span, 7, 1_790_000_000_000_000_000 + number);
        wire::put_fixed64_field(&mut span, 8, 1_790_000_000_100_000_000 + number);
        let target = format!("/api/v1/orders/{number}?expand=items&customer={}", number * 7919);
        let address = format!("10.2.{}.{}", number % 256, number % 200);
        for (key, value) in [
            ("http.request.method", Value::Text(b"GET")),
            ("http.route", Value::Text(b"/api/v1/orders/{id}")),
            ("url.path", Value::Text(target.as_bytes())),
            ("url.scheme", Value::Text(b"https")),
            ("http.response.status_code", Value::Integer(200)),
            ("server.address", Value::Text(b"orders.shop.svc.cluster.local")),
            ("server.port", Value::Integer(8443)),
            ("client.address", Value::Text(address.as_bytes())),
            ("user_agent.original", Value::Text(b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36")),
            ("network.protocol.version", Value::Text(b"1.1")),
            ("enduser.id", Value::Text(b"user-0815")),
            ("thread.id", Value::Integer(17)),
        ] {
            let (mut any, mut pair) = (Vec::new(), Vec::new());
            value::put(&mut any, value);
            value::put_pair(&mut pair, key.as_bytes(), &any);
            wire::put_bytes(&mut span, 9, &pair);
        }
        wire::put_bytes(&mut scope_spans, 2, &span);
    }
    let (mut resource_spans, mut request) = (Vec::new(), Vec::new());
    wire::put_bytes(&mut resource_spans, 2, &scope_spans);
    wire::put_bytes(&mut request, 1, &resource_spans);
    Bytes::from(request)
}

/// The best of many runs: `prepare` is not counted. Nothing runs if the program's argument is not in `what`.
fn measure<T>(what: &str, mut prepare: impl FnMut() -> T, mut run: impl FnMut(&mut T)) {
    if std::env::args().nth(1).is_some_and(|wanted| !what.contains(&wanted)) {
        return;
    }
    let mut best = u128::MAX;
    for _ in 0..400 {
        let mut state = prepare();
        let start = Instant::now();
        run(&mut state);
        best = best.min(start.elapsed().as_nanos());
    }
    println!("{what:<44} {:>7.1} ns/span", best as f64 / f64::from(SPANS));
}

fn main() {
    let incoming = [Incoming { body: request(), context: Arc::new(RequestContext::default()) }];
    println!("{SPANS} spans of {} bytes", incoming[0].body.len() / SPANS as usize);
    let loaded = || {
        let mut batch = Batch::new();
        assert!(batch.load(&incoming).iter().all(Result::is_ok));
        batch
    };
    let shown = Shown { rows: (0..SPANS).collect(), ..Shown::default() };
    let mut reused = loaded();
    measure("index", || (), |()| drop(black_box(reused.load(&incoming))));
    measure("encode, untouched", loaded, |batch| drop(black_box(encode(batch))));

    let drops =
        [Edit::Drop { at: Rows::Marked((0..SPANS).map(|row| u8::from(row % 10 < 3)).collect()), reason: "r".into() }];
    measure("drop 30 %", loaded, |batch| drop(black_box(apply(batch, &shown, &drops))));
    let applied = |edits: &[Edit]| {
        let mut batch = loaded();
        apply(&mut batch, &shown, edits);
        batch
    };
    measure("encode after 30 % drops", || applied(&drops), |batch| drop(black_box(encode(batch))));

    let set = |key: &str| Edit::Set {
        path: Path::Attribute(key.into()),
        at: Rows::Every,
        to: Values::Same(Constant::Text("eu-central-1".into())),
        mode: Mode::Upsert,
    };
    let added = [set("cloud.region")];
    measure("set every, a new attribute", loaded, |batch| drop(black_box(apply(batch, &shown, &added))));
    measure("encode after it", || applied(&added), |batch| drop(black_box(encode(batch))));
    let replaced = [set("server.address")];
    measure("set every, one that is there", loaded, |batch| drop(black_box(apply(batch, &shown, &replaced))));
    measure("encode after it", || applied(&replaced), |batch| drop(black_box(encode(batch))));
    let moved = [Edit::Move {
        path: Path::Attribute("enduser.id".into()),
        to: Path::Attribute("user.id".into()),
        at: Rows::Every,
        mode: Mode::Upsert,
    }];
    measure("rename every", loaded, |batch| drop(black_box(apply(batch, &shown, &moved))));
    let region = [Edit::Set {
        path: Path::ResourceAttribute("region".into()),
        at: Rows::Every,
        to: Values::Same(Constant::Text("eu".into())),
        mode: Mode::Upsert,
    }];
    measure("set every, a resource attribute", loaded, |batch| drop(black_box(apply(batch, &shown, &region))));
    let one = |row: u32| Edit::Set {
        path: Path::ResourceAttribute("region".into()),
        at: Rows::These(vec![row]),
        to: Values::Same(Constant::Text("eu".into())),
        mode: Mode::Upsert,
    };
    let each: Vec<Edit> = (0..SPANS).map(one).collect();
    measure("a resource attribute, an edit for each span", loaded, |batch| {
        drop(black_box(apply(batch, &shown, &each)));
    });

    let batch = loaded();
    measure("entries of strings", || (), |()| drop(black_box(entries::build(&batch, &shown.rows, &Path::Strings))));
    let (column, locators) = entries::build(&batch, &shown.rows, &Path::Strings);
    let Cells::Entries(cells) = &column.cells else { return };
    let per_span = cells.rows.len() as f64 / f64::from(SPANS);
    let (mut some, mut to) = (Vec::new(), Texts::default());
    for entry in (0..cells.rows.len() as u32).step_by(10) {
        some.push(entry);
        to.push(b"[redacted]");
    }
    let shown = Shown { columns: vec![Arc::new(column)], locators: vec![Some(Arc::new(locators))], rows: shown.rows };
    let rewritten = [Edit::Rewrite { column: 0, entries: some, to }];
    println!("{per_span:.1} entries a span, every tenth is rewritten:");
    measure("rewrite entries", loaded, |batch| drop(black_box(apply(batch, &shown, &rewritten))));
    measure(
        "encode after it",
        || {
            let mut batch = loaded();
            apply(&mut batch, &shown, &rewritten);
            batch
        },
        |batch| drop(black_box(encode(batch))),
    );
}
