//! What TLS costs: CPU per span with TLS on both ends, beside plain text.

use std::sync::Arc;

use anyhow::Result;
use harness::spans::Profile;

use super::cost::{Case, once};
use crate::Arguments;
use crate::measure::interleaved;
use crate::peer::{Setting, Side, Steps, Tls, Work};
use crate::report::Table;

const SPANS: usize = 512;

/// Both sides, each with and without.
pub async fn run(arguments: &Arguments) -> Result<Table> {
    let secured = Setting { tls: Some(Arc::new(Tls::new()?)), ..Setting::default() };
    let plain = Setting::default();
    let case = Case {
        name: "pass-through",
        work: Work::grpc(Steps::PassThrough),
        profile: Profile::Medium,
        spans: SPANS,
        peer: true,
        goal: "-",
    };
    let each = [Side::Tracemill, Side::Collector].map(|side| [(side, &plain), (side, &secured)]);
    let figures = interleaved(each.as_flattened(), arguments.runs, async |(side, setting)| {
        eprintln!("tls: {}, {}", side.name(), if setting.tls.is_some() { "TLS" } else { "plain text" });
        let (measured, _) = once(side, case, setting, arguments.kilospans * 1000).await?;
        Ok(vec![measured.nanoseconds_per_span])
    })
    .await?;
    let at = |i: usize| figures[i][0].median();
    let title = format!("CPU per span with TLS on both ends (gRPC, {SPANS} spans a request, pass-through)");
    let head = ["", "tracemill ns/span", "Collector ns/span", "tracemill is"];
    let mut table = Table::new(title, &head);
    for (name, ours, theirs) in [
        ("plain text", at(0), at(2)),
        ("TLS in and out", at(1), at(3)),
        ("what TLS costs", at(1) - at(0), at(3) - at(2)),
    ] {
        table.row([name.to_owned(), format!("{ours:.0}"), format!("{theirs:.0}"), format!("1/{:.1}", theirs / ours)]);
    }
    table.note(
        "TLS 1.3 with AES-128-GCM and certificates of ECDSA P-256 on all connections, which last as long as a run.",
    );
    Ok(table)
}
