//! CPU time per span: the process's own, over the spans that it accepted, sending included.

use std::time::Duration;

use anyhow::Result;
use harness::client::Protocol;
use harness::sink::Sink;
use harness::spans::Profile;
use harness::wire::Compression;

use crate::Arguments;
use crate::drive::{self, Ready};
use crate::measure::{Figures, interleaved};
use crate::peer::{Setting, Side, Steps, Subject, Work};
use crate::report::Table;
use crate::usage;

/// Requests under way on each of the two connections.
const UNDER_WAY: usize = 4;

/// One thing to measure.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub work: Work,
    pub profile: Profile,
    pub spans: usize,
    /// Whether the Collector can do it.
    pub peer: bool,
    /// What must be reached, as "at most 1/n of the Collector's", and what is aimed at.
    pub goal: &'static str,
}

/// The figures of one run.
pub(super) struct Measured {
    pub nanoseconds_per_span: f64,
    wire_bytes_out: f64,
}

const GRPC: Work = Work { steps: Steps::Four, protocol: Protocol::Grpc, compression: Compression::None };

/// The rows that the project promises.
pub async fn main(arguments: &Arguments) -> Result<Table> {
    let case = |name, work, spans, goal| Case { name, work, profile: Profile::Medium, spans, peer: true, goal };
    let cases = [
        case("gRPC, 512 spans a request, four steps", GRPC, 512, "1/7 (1/12)"),
        case("gRPC, 32 spans a request, four steps", GRPC, 32, "1/4 (1/8)"),
        case(
            "HTTP protobuf, 512 spans, four steps",
            Work { protocol: Protocol::HttpProtobuf, ..GRPC },
            512,
            "1/8 (1/15)",
        ),
        case(
            "gRPC, gzip in and out, 512 spans, four steps",
            Work { compression: Compression::Gzip, ..GRPC },
            512,
            "1/4 (1/8)",
        ),
        case("gRPC, 512 spans, pass-through", Work::grpc(Steps::PassThrough), 512, "-"),
        case("gRPC, 512 spans, drop health checks alone", Work::grpc(Steps::DropHealth), 512, "-"),
        case("gRPC, 512 spans, 40 renames", Work::grpc(Steps::Renames), 512, "-"),
        Case {
            peer: false,
            ..case("gRPC, 512 spans, scrub-pii with its defaults", Work::grpc(Steps::ScrubDefaults), 512, "-")
        },
        Case {
            peer: false,
            ..case(
                "gRPC, 512 spans, 30 % dropped, then five readers of one path",
                Work::grpc(Steps::FiveReaders),
                512,
                "-",
            )
        },
        Case {
            peer: false,
            ..case("gRPC, 512 spans, pass-through with span metrics", Work::grpc(Steps::SpanMetrics), 512, "-")
        },
        Case {
            peer: false,
            ..case(
                "gRPC, 512 spans, pass-through with span metrics and service graph",
                Work::grpc(Steps::ServiceGraph),
                512,
                "-",
            )
        },
    ];
    table("CPU per span (600 B spans)", &cases, arguments).await
}

/// Three sizes of spans, three sizes of requests.
pub async fn matrix(arguments: &Arguments) -> Result<Table> {
    let mut cases = Vec::new();
    for profile in Profile::ALL {
        for spans in [10, 100, 1000] {
            let name = match profile {
                Profile::Small => "300 B",
                Profile::Medium => "600 B",
                Profile::Large => "4 KB",
            };
            cases.push(Case { name, work: GRPC, profile, spans, peer: true, goal: "-" });
        }
    }
    table("CPU per span over span and request sizes (gRPC, four steps)", &cases, arguments).await
}

async fn table(title: &str, cases: &[Case], arguments: &Arguments) -> Result<Table> {
    let head = [
        "work",
        "spans a request",
        "tracemill ns/span",
        "Collector ns/span",
        "tracemill is",
        "must (aim)",
        "B/span in",
        "B/span out: tracemill / Collector",
    ];
    let mut table = Table::new(title, &head);
    let mut spread = 0f64;
    for case in cases.iter().filter(|case| arguments.wants(case.name)) {
        eprintln!("{}, {} spans a request", case.name, case.spans);
        let sides: &[Side] =
            if case.peer && !arguments.alone { &[Side::Tracemill, Side::Collector] } else { &[Side::Tracemill] };
        let mut bytes_in = 0.0;
        let figures = interleaved(sides, arguments.runs, async |side| {
            let (measured, bytes) = once(side, *case, &Setting::default(), arguments.kilospans * 1000).await?;
            bytes_in = bytes;
            Ok(vec![measured.nanoseconds_per_span, measured.wire_bytes_out])
        })
        .await?;
        let median =
            |side: usize, figure: usize| figures.get(side).map(|figures: &Vec<Figures>| figures[figure].median());
        spread = figures.iter().map(|figures| figures[0].spread()).fold(spread, f64::max);
        let ours = median(0, 0).unwrap_or_default();
        let theirs = median(1, 0);
        table.row([
            case.name.to_owned(),
            case.spans.to_string(),
            format!("{ours:.0}"),
            theirs.map_or_else(|| "-".to_owned(), |theirs| format!("{theirs:.0}")),
            theirs.map_or_else(|| "-".to_owned(), |theirs| format!("1/{:.1}", theirs / ours)),
            case.goal.to_owned(),
            format!("{bytes_in:.0}"),
            format!(
                "{:.0} / {}",
                median(0, 1).unwrap_or_default(),
                median(1, 1).map_or_else(|| "-".to_owned(), |bytes| format!("{bytes:.0}"))
            ),
        ]);
    }
    table.note(format!("Largest spread between the runs of one figure: {:.0} %.", spread * 100.0));
    Ok(table)
}

/// One run of one case, and the bytes of a span as it came in.
pub(super) async fn once(side: Side, case: Case, setting: &Setting, spans: usize) -> Result<(Measured, f64)> {
    let sink = setting.sink().await?;
    let subject = side.start_with(case.work, setting, &sink).await?;
    let clients = [subject.client_with(case.work, setting)?, subject.client_with(case.work, setting)?];
    let ready = Ready::new(&clients[0], case.profile, case.spans)?;
    // Enough to warm caches and to let the Collector's heap find its size; large spans are sent in smaller number.
    let spans = spans * 600 / case.profile.bytes().max(600);
    drive::flat_out(&clients, &ready, (spans / 4).div_ceil(case.spans), UNDER_WAY).await?;
    settle(&subject, &sink).await?;
    let (cpu, arrived) = (usage::cpu(subject.id()?)?, sink.arrivals(|arrivals| (arrivals.spans, arrivals.wire_bytes)));
    let outcome = drive::flat_out(&clients, &ready, spans.div_ceil(case.spans), UNDER_WAY).await?;
    settle(&subject, &sink).await?;
    let cpu = usage::cpu(subject.id()?)?.checked_sub(cpu).unwrap_or_default();
    let (spans_out, bytes_out) =
        sink.arrivals(|arrivals| (arrivals.spans - arrived.0, arrivals.wire_bytes - arrived.1));
    anyhow::ensure!(spans_out > 0, "nothing arrived from {}", side.name());
    subject.end().await?;
    let measured = Measured {
        nanoseconds_per_span: cpu.as_nanos() as f64 / outcome.accepted as f64,
        wire_bytes_out: bytes_out as f64 / spans_out as f64,
    };
    Ok((measured, ready.bytes_per_span()))
}

/// Waits until the proxy has sent what it holds: nothing arrives any more, and it stands still.
async fn settle(subject: &Subject, sink: &Sink) -> Result<()> {
    let mut last = (u64::MAX, Duration::ZERO);
    loop {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let now = (sink.spans(), usage::cpu(subject.id()?)?);
        if now.0 == last.0 && now.1.saturating_sub(last.1) < Duration::from_millis(20) {
            return Ok(());
        }
        last = now;
    }
}
