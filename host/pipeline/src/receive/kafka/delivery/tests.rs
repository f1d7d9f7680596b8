//! Deliveries to a handler of the tests' own, with paused time.

use std::future::ready;
use std::pin::Pin;

use otlp::signal::Signal;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;

use super::super::board::{Board, Place, Taken};
use super::super::flow::Flow;
use super::*;
use crate::admit::{Admission, Budget};
use crate::kafka::Logs;
use crate::receive::context::Keep;
use crate::receive::{Limits, Metrics};
use crate::request::{Accepted, Answer, Handler};

const PLACE: Place = (0, 3);
const MOST: usize = 1000;
/// More than anything takes here; time is paused.
const LONG: Duration = Duration::from_hours(1);

/// Answers by what stands in the body, and keeps what it has taken.
struct By<F> {
    answer: F,
    taken: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl<F: Fn(&[u8]) -> Option<Refusal> + Send + Sync + 'static> Handler for By<F> {
    fn handle(&self, request: Request) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>> {
        let answer = (self.answer)(&request.body).map_or(Ok(Accepted::default()), Err);
        if answer.is_ok() {
            self.taken.lock().push(request.body.to_vec());
        }
        Box::pin(ready(answer))
    }

    fn takes(&self, _: Signal) -> bool {
        true
    }

    fn refuses(&self, _: Signal) -> Option<Refusal> {
        None
    }
}

struct Rig {
    way: Arc<Way>,
    board: Arc<Board>,
    taken: Arc<Mutex<Vec<Vec<u8>>>>,
    registry: Registry,
}

impl Rig {
    fn new(answer: impl Fn(&[u8]) -> Option<Refusal> + Send + Sync + 'static) -> Self {
        let mut registry = Registry::default();
        let metrics = Arc::new(Metrics::register(&mut registry));
        let taken = Arc::default();
        let shared = Arc::new(Shared {
            handler: Arc::new(By { answer, taken: Arc::clone(&taken) }),
            auth: None,
            admission: Admission::new(Budget::new(1 << 20), usize::MAX, usize::MAX),
            limits: Limits { request_bytes: MOST, body_timeout: LONG, retry_after: FIRST },
            keep: Keep { headers: Vec::new(), tenant: None },
            cors: None,
            metrics,
        });
        let board = Arc::new(Board::default());
        board.begin(PLACE);
        let metrics = shared.metrics.kafka().clone();
        let common = Arc::new(Common {
            topics: vec!["spans".to_owned()],
            board: Arc::clone(&board),
            flow: Arc::new(Flow::default()),
            metrics,
            logs: Logs::of("a test"),
            lag: Mutex::default(),
            came: Mutex::default(),
            is_denied: false.into(),
        });
        let way = Arc::new(Way {
            topics: vec![common.metrics.of("spans")],
            payer: shared.admission.connection(std::net::Ipv4Addr::UNSPECIFIED.into()),
            shared,
            common,
            runtime: Handle::current(),
            refused: Gate::default(),
            skipped: Gate::default(),
        });
        Self { way, board, taken, registry }
    }

    /// Begins to deliver these as one group.
    fn start(&self, first: i64, messages: &[&str]) {
        let mut body = Vec::new();
        let mut parts = Vec::new();
        for (offset, message) in (first..).zip(messages) {
            let taken: Taken = self.board.take(PLACE, offset).unwrap();
            parts.push((taken, body.len()..body.len() + message.len()));
            body.extend_from_slice(message.as_bytes());
        }
        let group = Group { place: PLACE, signal: Signal::Traces, context: Arc::default(), body: body.into(), parts };
        self.way.start(group).unwrap();
    }

    async fn until_settled(&self) {
        let settled = async {
            while self.board.open() > 0 {
                sleep(FIRST).await;
            }
        };
        tokio::time::timeout(LONG, settled).await.unwrap();
    }

    fn skipped(&self, reason: &str) -> bool {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text.contains(&format!(
            "tracemill_receive_kafka_skipped_messages_total{{topic=\"spans\",reason=\"{reason}\"}} 1\n"
        ))
    }

    fn taken(&self) -> Vec<String> {
        self.taken.lock().iter().map(|body| String::from_utf8_lossy(body).into_owned()).collect()
    }
}

fn has(body: &[u8], word: &str) -> bool {
    String::from_utf8_lossy(body).contains(word)
}

#[tokio::test(start_paused = true)]
async fn a_message_over_the_limit_is_settled() {
    let rig = Rig::new(|_| None);
    rig.start(7, &["x".repeat(MOST + 1).as_str()]);
    assert_eq!((rig.board.to_commit(None), rig.board.open()), (vec![(PLACE, 8)], 0));
    assert!(rig.skipped("too_large") && rig.taken().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_fails_here_each_time_is_skipped_and_its_company_is_taken() {
    for refusal in [Refusal::failed(FIRST, "bug"), Refusal { kind: RefusalKind::Internal, message: "bug".to_owned() }] {
        let rig = Rig::new(move |body| has(body, "bug").then(|| refusal.clone()));
        rig.start(7, &["one ", "bug ", "two "]);
        rig.until_settled().await;
        assert_eq!(rig.board.to_commit(None), [(PLACE, 10)]);
        assert_eq!(rig.taken(), ["one ", "two "]);
        assert!(rig.skipped("internal"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_is_tried_for_as_long_as_it_takes_and_holds_its_own_partition_up() {
    let room_at = tokio::time::Instant::now() + LONG / 2;
    let full = move || (tokio::time::Instant::now() < room_at).then(|| Refusal::unavailable(FIRST, "full"));
    let rig = Rig::new(move |_| full());
    rig.start(7, &["one "]);
    while rig.way.common.flow.refused().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.way.common.flow.refused(), [PLACE]);
    rig.until_settled().await;
    assert_eq!((rig.taken(), rig.way.common.flow.is_held_up()), (vec!["one ".to_owned()], false));
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_not_tried_again_once_its_partition_is_anothers() {
    let full = Refusal::unavailable(LONG, "full");
    let rig = Rig::new(move |_| Some(full.clone()));
    rig.start(7, &["one "]);
    while rig.way.common.flow.refused().is_empty() {
        tokio::task::yield_now().await;
    }
    let waited = tokio::time::Instant::now();
    rig.board.forget(PLACE);
    rig.way.common.flow.went.notify_waiters();
    let ended = async {
        while rig.way.common.flow.is_held_up() || rig.way.shared.admission.budget().used() > 0 {
            tokio::task::yield_now().await;
        }
    };
    ended.await;
    assert_eq!(waited.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn once_the_consumer_ends_nothing_more_of_what_was_taken_apart_is_delivered() {
    let rig = Rig::new(|body| match body {
        b"one " => Some(Refusal::unavailable(FIRST, "full")),
        body => has(body, "bug").then(|| Refusal::malformed("bug")),
    });
    rig.start(7, &["one ", "two ", "bug "]);
    while rig.way.common.flow.refused().is_empty() {
        tokio::task::yield_now().await;
    }
    rig.way.common.flow.stop.cancel();
    rig.until_settled().await;
    assert_eq!((rig.taken(), rig.board.to_commit(None)), (vec![], vec![]));
}
