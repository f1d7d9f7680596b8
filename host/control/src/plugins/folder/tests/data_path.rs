//! Spans go on while plugins are being made, however long that takes.

use std::sync::mpsc::{Receiver, channel};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use otlp::batch::RequestContext;
use otlp::signal::Signal;
use pipeline::admit::Budget;
use pipeline::chain::intake::Intake;
use pipeline::chain::outlet::Outlet;
use pipeline::export::{Parcel, Taken};
use pipeline::request::{Accepted, Refusal, Request};
use prost::Message as _;

use super::*;
use crate::plugins::probe;

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const BATCHES: usize = 200;

/// Keeps what leaves the chain.
#[derive(Default)]
struct Left(Mutex<Vec<Bytes>>);

impl Outlet for Left {
    fn takes(&self, _: Signal) -> bool {
        true
    }

    fn is_full(&self) -> Option<Refusal> {
        None
    }

    fn room(&self) -> usize {
        usize::MAX
    }

    fn accept(&self, parcel: Parcel) -> Result<Taken, Refusal> {
        self.0.lock().unwrap().push(parcel.body);
        Ok(Taken::Whole)
    }
}

impl Left {
    /// Through which generations the spans went that have left, in their order, neighbours once.
    fn generations(&self) -> Vec<i64> {
        let mut noted = Vec::new();
        for body in self.0.lock().unwrap().drain(..) {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
            let attributes = scopes.flat_map(|scope| scope.spans).flat_map(|span| span.attributes);
            for attribute in attributes.filter(|attribute| attribute.key == "tracemill.generation") {
                match attribute.value.and_then(|value| value.value) {
                    Some(Value::IntValue(generation)) => noted.push(generation),
                    other => panic!("a generation that is {other:?}"),
                }
            }
        }
        noted.dedup();
        noted
    }
}

/// Sends batches from a thread of its own: where no answer comes, the test ends all the same.
fn send(intake: &Arc<Intake>) -> Receiver<Result<Accepted, Refusal>> {
    let (intake, (answers, answered)) = (Arc::clone(intake), channel());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let budget = Budget::new(1 << 20);
        for _ in 0..BATCHES {
            let body = probe::sample().body;
            let permit = budget.take(body.len()).unwrap();
            let request = Request {
                signal: Signal::Traces,
                body,
                context: Arc::<RequestContext>::default(),
                permit,
                custody: None,
            };
            // Nobody listens any more where the test has failed.
            let _gone = answers.send(runtime.block_on(intake.take(request)));
        }
    });
    answered
}

#[test]
fn batches_are_answered_while_every_maker_is_held_up() {
    let setup = Setup::new(&[("10-a.wasm", "ok 1"), ("20-b.wasm", "ok 1")], &["a"]);
    let first = setup.until_chain(&["a", "b"]);
    let left = Arc::new(Left::default());
    let intake = Arc::new(Intake::start(setup.chains.clone(), None, left.clone(), setup.gate.clone(), true).unwrap());

    let turn = setup.held.turn.lock().unwrap();
    setup.put("10-a.wasm", "held 2");
    setup.put("20-b.wasm", "held 2");
    setup.put("30-c.wasm", "held 1");
    setup.until_makers(2);
    let answered = send(&intake);
    for batch in 0..BATCHES {
        let answer = answered.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no answer to batch {batch}"));
        assert_eq!(answer.unwrap(), Accepted::default(), "batch {batch}");
    }
    assert_eq!(left.generations(), [first.generation as i64], "the last good chain goes on");
    // Whoever asks what is going on is answered too.
    let status = setup.until("what is being made", |status, _| status.stages.len() == 3);
    assert_eq!(version(&status, "a"), version(&first, "a"));

    drop(turn);
    let last = setup.until("all that was held up", |status, chain| {
        names(chain) == ["a", "b", "c"] && ["a", "b"].iter().all(|name| version(status, name) != version(&first, name))
    });
    assert_eq!(send(&intake).iter().flatten().count(), BATCHES);
    assert_eq!(left.generations(), [last.generation as i64]);
}

impl Setup {
    /// Sends batches through the live chain until all are answered.
    pub(super) fn run_batches(&self) {
        let intake =
            Intake::start(self.chains.clone(), None, Arc::<Left>::default(), self.gate.clone(), false).unwrap();
        assert_eq!(send(&Arc::new(intake)).iter().flatten().count(), BATCHES);
    }
}
