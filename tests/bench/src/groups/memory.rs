//! Resident memory: at full load, when far more is offered than the back end takes, with thousands of connections.

mod connections;
mod overload;

use anyhow::Result;
use harness::client::Protocol;
use harness::spans::Profile;

use crate::Arguments;
use crate::drive::{self, Ready};
use crate::measure::{Figures, interleaved};
use crate::peer::{Setting, Side, Steps, Work};
use crate::report::{Table, must};
use overload::{Load, Pressure};

const SIDES: [Side; 2] = [Side::Tracemill, Side::Collector];
const SPANS: usize = 512;
const MIB: f64 = (1 << 20) as f64;
/// What must not be exceeded, in MiB, and what is aimed at.
const MOST: f64 = 200.0;
const AIM: f64 = 120.0;
/// What growth still counts as flat, in MiB: an allocator is not exact.
const FLAT: f64 = 16.0;

/// All loads, both sides.
pub async fn run(arguments: &Arguments) -> Result<Table> {
    let runs = arguments.runs;
    let title = "Resident memory, MiB (512 spans a request, four steps, defaults)";
    let mut table = Table::new(title, &["load", "tracemill", "Collector", "must (aim)"]);
    let name = "full load over gRPC";
    if arguments.wants(name) {
        let load = async |side| Ok(vec![full_load(side, arguments.kilospans * 1000).await?]);
        peak(&mut table, name, &interleaved(&SIDES, runs, load).await?);
    }
    for load in [Load::TenTimes, Load::Stalled] {
        for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
            let pressure = Pressure { load, protocol };
            if !arguments.wants(&pressure.name()) {
                continue;
            }
            let figures = interleaved(&SIDES, runs, async |side| pressure.put_on(side).await).await?;
            peak(&mut table, &pressure.name(), &figures);
            growth(&mut table, "the same: growth from the first third to the end", &figures);
            table.row(both("the same: share of requests refused, to be sent again", &figures, "-".to_owned(), |run| {
                format!("{:.0} %", run[2].median())
            }));
        }
    }
    if arguments.wants(&connections::name()) {
        let figures = interleaved(&SIDES, runs, connections::run).await?;
        // So many requests at once are larger than the bound of the other rows; what counts is that they leave nothing behind.
        table.row(both(&format!("{}: peak", connections::name()), &figures, "-".to_owned(), |run| mib(&run[0])));
        growth(&mut table, "the same: growth from the first third to the end", &figures);
    }
    table.note(
        "The Collector has no memory_limiter here and its default queue of 1,000 batches; what it does not refuse it holds or loses.",
    );
    Ok(table)
}

fn peak(table: &mut Table, name: &str, figures: &[Vec<Figures>]) {
    let is_met = figures[0][0].median() <= MOST * MIB;
    let name = format!("{name}: peak");
    table.row(both(&name, figures, must(format!("{MOST:.0} ({AIM:.0})"), is_met), |run| mib(&run[0])));
}

fn growth(table: &mut Table, name: &str, figures: &[Vec<Figures>]) {
    let is_met = figures[0][1].median() <= FLAT * MIB;
    table.row(both(name, figures, must("flat", is_met), |run| mib(&run[1])));
}

fn both(name: &str, figures: &[Vec<Figures>], goal: String, show: impl Fn(&[Figures]) -> String) -> [String; 4] {
    [name.to_owned(), show(&figures[0]), show(&figures[1]), goal]
}

fn mib(bytes: &Figures) -> String {
    format!("{:.0}", bytes.median() / MIB)
}

async fn full_load(side: Side, spans: usize) -> Result<f64> {
    eprintln!("memory at full load: {}", side.name());
    let work = Work::grpc(Steps::Four);
    let sink = Setting::default().sink().await?;
    let subject = side.start(work, &sink).await?;
    let clients: Vec<_> = (0..8).map(|_| subject.client(work)).collect();
    let ready = Ready::new(&clients[0], Profile::Medium, SPANS)?;
    drive::flat_out(&clients, &ready, (spans * 2).div_ceil(SPANS), 8).await?;
    let peak = harness::memory::of(subject.id()?)?.peak;
    subject.end().await?;
    Ok(peak as f64)
}
