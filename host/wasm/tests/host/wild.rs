//! Answers that lie anywhere in a guest's memory or beyond it, through all of the host: read by the engine, lifted, checked and applied.

use std::sync::Arc;

use bytes::Bytes;
use otlp::batch::{Batch, Incoming, RequestContext};
use otlp::columns::cache::Cache;
use otlp::edit::apply::apply;
use otlp::edit::check::check;
use otlp::edit::permissions::Permissions;
use otlp::encode::encode;
use otlp::path::Path;
use pipeline::chain::stage::Program;

use crate::setup::{Plugin, call, probe};

/// One span: its ids and a name.
fn request() -> Vec<u8> {
    let span = [&[0x0a, 16][..], &[7; 16], &[0x12, 8], &[9; 8], &[0x2a, 1, b'a']].concat();
    let wrapped = |tag: u8, body: &[u8]| [&[tag, body.len() as u8][..], body].concat();
    wrapped(0x0a, &wrapped(0x12, &wrapped(0x12, &span)))
}

fn batch() -> Batch {
    let mut batch = Batch::new();
    let outcomes =
        batch.load(&[Incoming { body: Bytes::from(request()), context: Arc::new(RequestContext::default()) }]);
    assert!(outcomes.iter().all(Result::is_ok), "a request");
    batch
}

#[test]
fn answers_that_point_anywhere_are_faults_or_edits() {
    let program = Plugin::default().configure(probe(), "wild").expect("a program");
    let writes = [Path::Attribute("probe".into()), Path::Events];
    let permissions = Permissions::new(&[], &[], [], &writes, true);
    let (mut faults, mut refused, mut applied) = (0, 0, 0);
    for seed in 0..1_000 {
        let mut instance = program.instantiate().expect("an instance");
        match instance.call(call(seed, &[])) {
            Err(fault) => {
                assert!(fault.message.len() < 4_096, "{fault}");
                faults += 1;
            }
            Ok(edits) => {
                let mut batch = batch();
                let shown = Cache::default().show(&batch, &[0], &[]);
                if check(&batch, &shown, &permissions, &edits).is_ok() {
                    apply(&mut batch, &shown, &edits);
                    applied += 1;
                } else {
                    refused += 1;
                    assert!(encode(&batch) == request(), "seed {seed}: a call that fails changes nothing");
                }
                let mut again = Batch::new();
                let body = Bytes::from(encode(&batch).to_vec());
                let outcomes = again.load(&[Incoming { body, context: Arc::new(RequestContext::default()) }]);
                assert!(outcomes.iter().all(Result::is_ok) && again.rows() == batch.live(), "seed {seed}");
                instance.settle(true);
            }
        }
    }
    assert!(faults > 100 && refused > 20 && applied > 20, "{faults} faults, {refused} refused, {applied} applied");
}
