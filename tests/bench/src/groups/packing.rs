//! Two ways to pack the spans of traces that wait: together in the order in which they came, as the trace buffer does, or each trace by
//! itself with a trained dictionary.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Result, ensure};
use harness::spans::{Generator, Mix, Profile};
use prost::Message as _;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

use super::tail::{PARTS, REQUEST};
use crate::Arguments;
use crate::measure::interleaved;
use crate::report::Table;

/// As the trace buffer packs.
const LEVEL: i32 = 1;
const CHUNK: usize = 256 << 10;
/// What zstd's own tool makes unless it is asked for another size.
const DICTIONARY: usize = 112 << 10;
const SIZES: [usize; 2] = [1, 20];
/// Spans that are packed, and as many others of the same services from which the dictionary is made.
const SPANS: usize = 40_000;
/// One trace in so many is kept: what has to be unpacked when traces are decided.
const KEPT: usize = 15;

#[derive(Debug, Clone, Copy)]
enum Way {
    Chunks,
    Traces,
    TracesWithDictionary,
}

const WAYS: [(Way, &str); 3] = [
    (Way::Chunks, "together, in chunks of 256 KiB, without a dictionary (tracemill)"),
    (Way::Traces, "each trace by itself, without a dictionary"),
    (Way::TracesWithDictionary, "each trace by itself, with a trained dictionary of 112 KiB"),
];

/// A table of all ways.
pub async fn run(arguments: &Arguments) -> Result<Table> {
    let head = ["traces", "packed", "takes", "packing, ns/span", "unpacking those that are kept, ns/span kept"];
    let mut table = Table::new("Packing the spans that wait (zstd at level 1, in the process of the bench)", &head);
    for size in SIZES {
        let (spans, sample) = (Spans::new(size, 1), Spans::new(size, 2));
        let samples: Vec<&[u8]> = sample.traces().map(|(_, bytes)| bytes).collect();
        let dictionary = zstd::dict::from_samples(&samples, DICTIONARY)?;
        let ways = WAYS.map(|(way, _)| way);
        let all = interleaved(&ways, arguments.runs, async |way| spans.packed(way, &dictionary)).await?;
        for ((_, name), figures) in WAYS.iter().zip(all) {
            let [share, packing, unpacking] = [0, 1, 2].map(|at: usize| figures[at].median());
            table.row([
                format!("of {size}"),
                (*name).to_owned(),
                format!("{:.1} %", share * 100.0),
                format!("{packing:.0}"),
                format!("{unpacking:.0}"),
            ]);
        }
    }
    table.note(format!(
        "{SPANS} spans of about {} bytes in requests of {REQUEST}, each of one service; a trace of 20 comes in {PARTS} of them. One trace in {KEPT} is kept, and a chunk is unpacked \
         once for all of its traces, which is the best case: those that become due at different times have it unpacked again. For traces by themselves the best case is \
         that each is packed once, when all of it is there. Not counted: what a list of packed traces takes beside their bytes, and what of a chunk is no longer wanted \
         until the rest of it has gone.",
        Profile::Medium.bytes()
    ));
    Ok(table)
}

/// Spans' bytes in the order in which they come, and the same by trace.
struct Spans {
    /// The number of the trace, and where the span is.
    came: Vec<(usize, std::ops::Range<usize>)>,
    bytes: Vec<u8>,
    traces: BTreeMap<usize, Vec<u8>>,
}

impl Spans {
    fn new(size: usize, seed: u64) -> Self {
        let parts = if size == 1 { 1 } else { PARTS };
        let each = size / parts;
        let mut generator = Generator::new(Profile::Medium, seed).mix(Mix::PLAIN);
        let (mut came, mut bytes, mut traces) = (Vec::new(), Vec::new(), BTreeMap::<usize, Vec<u8>>::new());
        for request in 0..SPANS / REQUEST {
            let group = request / parts * (REQUEST / each);
            let made = generator.request(REQUEST).request;
            let spans = made.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
            for (at, mut span) in spans.flat_map(|scope| scope.spans).enumerate() {
                let trace = group + at / each;
                let mut random = SmallRng::seed_from_u64(seed << 32 | trace as u64);
                span.trace_id = random.random::<[u8; 16]>().to_vec();
                let root = random.random::<[u8; 8]>().to_vec();
                // Its first span is its root, and the parent of all others.
                if request % parts == 0 && at % each == 0 {
                    (span.span_id, span.parent_span_id) = (root, Vec::new());
                } else {
                    span.parent_span_id = root;
                }
                let from = bytes.len();
                span.encode(&mut bytes).expect("a vector grows");
                traces.entry(trace).or_default().extend_from_slice(&bytes[from..]);
                came.push((trace, from..bytes.len()));
            }
        }
        Self { came, bytes, traces }
    }

    fn traces(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.traces.iter().map(|(&trace, bytes)| (trace, bytes.as_slice()))
    }

    /// Pieces to pack, and whether something in them is kept.
    fn pieces(&self, way: Way) -> Vec<(&[u8], bool)> {
        let is_kept = |trace: usize| trace.is_multiple_of(KEPT);
        let Way::Chunks = way else { return self.traces().map(|(trace, bytes)| (bytes, is_kept(trace))).collect() };
        let (mut pieces, mut from, mut kept) = (Vec::new(), 0, false);
        for (trace, range) in &self.came {
            if range.end - from > CHUNK {
                pieces.push((&self.bytes[from..range.start], kept));
                (from, kept) = (range.start, false);
            }
            kept |= is_kept(*trace);
        }
        pieces.push((&self.bytes[from..], kept));
        pieces
    }

    /// The share of their size, nanoseconds a span to pack them, and a kept span to unpack what is kept.
    fn packed(&self, way: Way, dictionary: &[u8]) -> Result<Vec<f64>> {
        let dictionary = if let Way::TracesWithDictionary = way { dictionary } else { &[] };
        let (mut compressor, mut decompressor) =
            (Compressor::with_dictionary(LEVEL, dictionary)?, Decompressor::with_dictionary(dictionary)?);
        // One dictionary for all: none has to name it.
        compressor.set_parameter(CParameter::DictIdFlag(false))?;
        let pieces = self.pieces(way);
        let mut scratch = Vec::with_capacity(2 * CHUNK);
        let mut pack = |piece: &[u8]| -> Result<Box<[u8]>> {
            scratch.clear();
            compressor.compress_to_buffer(piece, &mut scratch)?;
            Ok(scratch.as_slice().into())
        };
        // What is made ready for the first is no one's cost.
        for (piece, _) in pieces.iter().take(2) {
            ensure!(decompressor.decompress(&pack(piece)?, piece.len())? == *piece, "not what was packed");
        }
        let started = Instant::now();
        let packed = pieces.iter().map(|(piece, _)| pack(piece)).collect::<Result<Vec<_>>>()?;
        let packing = started.elapsed();
        let mut plain = Vec::with_capacity(2 * CHUNK);
        let started = Instant::now();
        for (packed, _) in packed.iter().zip(&pieces).filter(|(_, (_, is_kept))| *is_kept) {
            plain.clear();
            decompressor.decompress_to_buffer(packed, &mut plain)?;
        }
        let unpacking = started.elapsed();
        let size: usize = packed.iter().map(|packed| packed.len()).sum();
        let kept = self.came.iter().filter(|(trace, _)| trace.is_multiple_of(KEPT)).count();
        Ok(vec![
            size as f64 / self.bytes.len() as f64,
            packing.as_nanos() as f64 / self.came.len() as f64,
            unpacking.as_nanos() as f64 / kept as f64,
        ])
    }
}
