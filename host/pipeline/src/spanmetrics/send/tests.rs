//! What is sent, read with the official messages.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{ExponentialHistogramDataPoint, NumberDataPoint, number_data_point};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use prost::Message as _;

use super::*;
use crate::chain::metrics::Metrics as OfChain;
use crate::spanmetrics::Recorder;
use crate::spanmetrics::config::{SeriesConfig, SpanConfig};
use crate::spanmetrics::tests::{SERVER, batch, of_service, span};

#[derive(Default)]
struct Queue {
    full: AtomicBool,
    /// Nobody wants metrics.
    unwanted: AtomicBool,
    taken: Mutex<Vec<Parcel>>,
}

impl Outlet for Queue {
    fn takes(&self, signal: Signal) -> bool {
        signal == Signal::Metrics && !self.unwanted.load(Ordering::Relaxed)
    }

    fn is_full(&self) -> Option<Refusal> {
        None
    }

    fn room(&self) -> usize {
        usize::MAX
    }

    fn accept(&self, parcel: Parcel) -> Result<Taken, Refusal> {
        if self.full.load(Ordering::Relaxed) {
            return Err(Refusal::unavailable(TICK, "full"));
        }
        self.taken.lock().push(parcel);
        Ok(Taken::Whole)
    }
}

impl Queue {
    /// The points that were sent since the last time: service, calls, duration.
    fn points(&self) -> Vec<(String, NumberDataPoint, ExponentialHistogramDataPoint)> {
        let mut points = Vec::new();
        for parcel in std::mem::take(&mut *self.taken.lock()) {
            assert_eq!(Signal::Metrics.count(&parcel.body), Ok(parcel.items));
            for resource in ExportMetricsServiceRequest::decode(&parcel.body[..]).unwrap().resource_metrics {
                let service = format!("{:?}", resource.resource.unwrap().attributes[0].value);
                let [calls, durations] = &resource.scope_metrics[0].metrics[..] else { panic!("two metrics") };
                let (Some(Data::Sum(sum)), Some(Data::ExponentialHistogram(histogram))) =
                    (&calls.data, &durations.data)
                else {
                    panic!("{calls:?} {durations:?}")
                };
                assert_eq!((calls.name.as_str(), calls.unit.as_str()), ("traces.span.metrics.calls", "{call}"));
                assert_eq!((durations.name.as_str(), durations.unit.as_str()), ("traces.span.metrics.duration", "s"));
                assert!(sum.is_monotonic);
                let both = sum.data_points.iter().zip(&histogram.data_points);
                points.extend(both.map(|(sum, histogram)| (service.clone(), sum.clone(), histogram.clone())));
            }
        }
        points
    }
}

struct Rig {
    metrics: SpanMetrics,
    queue: Queue,
    counted: Counted,
    recorder: Recorder,
}

impl Rig {
    fn new(temporality: Temporality) -> Self {
        let metrics = SpanMetrics::new(1);
        let series = SeriesConfig { temporality, instance: Some("me".into()), ..SeriesConfig::default() };
        metrics.reconfigure(Some(SpanConfig { series, ..SpanConfig::default() }), None);
        let counted = Counted::register(&mut Registry::default(), &OfChain::default());
        Self { metrics, queue: Queue::default(), counted, recorder: Recorder::default() }
    }

    fn spans(&mut self, service: &str, count: u64) {
        let spans = (0..count).map(|number| span(number, "get", SERVER)).collect();
        self.recorder.record(&self.metrics, &batch(vec![of_service(service, spans)]));
    }

    /// At a time of day.
    fn send(&self, at: u64) {
        self.send_now(Now { unix: at, ..Now::read() });
    }

    fn send_now(&self, now: Now) {
        let live = self.metrics.collect(now).unwrap();
        live.parts().for_each(|part| send(part, &self.queue, &self.counted, now.steady));
    }
}

fn count(point: &NumberDataPoint) -> i64 {
    let Some(number_data_point::Value::AsInt(count)) = point.value else { panic!("{point:?}") };
    count
}

#[test]
fn cumulative_sums_go_on_from_where_their_series_began() {
    let mut rig = Rig::new(Temporality::Cumulative);
    let begin = Now::read().unix;
    rig.spans("shop", 3);
    rig.send(begin + 10);
    rig.spans("cart", 1);
    rig.spans("shop", 2);
    rig.queue.full.store(true, Ordering::Relaxed);
    rig.send(begin + 20);
    rig.queue.full.store(false, Ordering::Relaxed);
    let first = rig.queue.points();
    let [(service, calls, durations)] = &first[..] else { panic!("{first:?}") };
    assert!(service.contains("shop"));
    assert_eq!((count(calls), durations.count, durations.sum), (3, 3, Some(0.75)));
    assert!(calls.start_time_unix_nano <= begin + 1 && calls.time_unix_nano == begin + 10);
    assert_eq!(durations.positive.as_ref().map(|of| of.bucket_counts.iter().sum()), Some(3));
    assert_eq!(durations.exemplars.len(), 1);
    let names: Vec<_> = calls.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    assert_eq!(names, ["service.name", "span.name", "span.kind", "status.code", "tracemill.instance.id"]);
    rig.send(begin + 30);
    let second = rig.queue.points();
    let counts: Vec<_> =
        second.iter().map(|(_, calls, of)| (count(calls), of.count, calls.start_time_unix_nano)).collect();
    assert_eq!(counts, [(1, 1, begin + 10), (5, 5, calls.start_time_unix_nano)]);
}

#[test]
fn deltas_are_sent_once_and_what_was_refused_comes_with_the_next() {
    let mut rig = Rig::new(Temporality::Delta);
    let begin = Now::read().unix;
    rig.spans("shop", 3);
    rig.send(begin + 10);
    rig.send(begin + 20);
    let counts = |rig: &Rig| -> Vec<_> {
        let points = rig.queue.points();
        points
            .iter()
            .map(|(_, calls, of)| (count(calls), of.count, of.start_time_unix_nano, of.time_unix_nano))
            .collect()
    };
    let first = counts(&rig);
    assert_eq!((first.len(), first[0].0, first[0].1, first[0].3), (1, 3, 3, begin + 10));
    rig.spans("shop", 2);
    rig.queue.full.store(true, Ordering::Relaxed);
    rig.send(begin + 30);
    rig.queue.full.store(false, Ordering::Relaxed);
    rig.spans("shop", 4);
    rig.send(begin + 40);
    assert_eq!(counts(&rig), [(6, 6, begin + 10, begin + 40)]);
}

#[test]
fn many_series_are_several_messages() {
    let mut rig = Rig::new(Temporality::Cumulative);
    let spans = (0..1_700).map(|number| span(number, &format!("get {number}"), SERVER)).collect();
    rig.recorder.record(&rig.metrics, &batch(vec![of_service("shop", spans)]));
    rig.send_now(Now::read());
    assert!(rig.queue.taken.lock().len() > 1);
    assert!(rig.queue.taken.lock().iter().all(|parcel| parcel.body.len() < 1 << 20));
    let points = rig.queue.points();
    assert_eq!(points.len(), 1_700);
    assert!(points.iter().all(|(_, calls, _)| count(calls) == 1));
}

#[test]
fn the_end_sends_what_is_left() {
    let mut rig = Rig::new(Temporality::Cumulative);
    rig.spans("shop", 3);
    let queue = Arc::new(rig.queue);
    drop(Sender::start(rig.metrics, queue.clone(), rig.counted).unwrap());
    assert_eq!(queue.points().len(), 1);
}

#[test]
fn without_anybody_who_takes_metrics_the_next_time_is_an_interval_away_all_the_same() {
    let mut rig = Rig::new(Temporality::Delta);
    rig.spans("shop", 3);
    rig.queue.unwanted.store(true, Ordering::Relaxed);
    let interval = SeriesConfig::default().interval;
    // Whatever the time of day is said to be.
    let at = Now { unix: 1, steady: Instant::now() + interval };
    let live = rig.metrics.collect(at).unwrap();
    let part = live.parts().next().unwrap();
    assert_eq!(due(part, at.steady), Duration::ZERO);
    rig.send_now(at);
    assert_eq!(due(part, at.steady), interval);
    assert!(rig.queue.points().is_empty());
    rig.queue.unwanted.store(false, Ordering::Relaxed);
    rig.send_now(at);
    assert_eq!(rig.queue.points().len(), 1);
}
