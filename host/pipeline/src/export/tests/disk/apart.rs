//! Queues on disk that get a part only: of the resources, or of the signals.

use super::super::routing::{services, when};
use super::super::signals::{Way, request, taking};
use super::*;
use crate::export::config::When;

impl Bench {
    /// By way of what decides who gets what: hears what becomes of it.
    async fn share_durably(&self, parcel: Parcel) -> Result<(), Refusal> {
        let Taken::Later(commit) = self.exports.accept(parcel)? else { panic!("no queue is durable") };
        written(commit).await
    }
}

#[tokio::test]
async fn durable_destinations_get_their_resources_also_after_a_crash_and_all_or_none_are_taken() {
    let (folders, dead) = ([tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()], Sink::new([], HANG));
    let mut configs =
        vec![durable("shop", &dead, folders[0].path()).await, durable("rest", &dead, folders[1].path()).await];
    (configs[0].when, configs[1].when) = (Some(when("shop")), Some(When::Otherwise));
    let bench = Bench::new(configs);
    bench.share_durably(services(&["shop", "bank", "shop"])).await.unwrap();
    bench.disk_is_full(1, true);
    assert!(bench.share_durably(services(&["shop", "bank"])).await.unwrap_err().message.contains("`rest`"));
    // Nothing of that one is for the disk that is full.
    bench.share_durably(services(&["shop"])).await.unwrap();
    assert_eq!((bench.of("admitted_spans_total", "shop"), bench.of("admitted_spans_total", "rest")), (30, 10));
    bench.spool(0).store().flush();
    for (folder, name, spans) in [(&folders[0], "shop", 30), (&folders[1], "rest", 10)] {
        let (after, sink) = (crashed(folder.path()), Sink::new([], Reply::Ok));
        let again = Bench::new(vec![durable(name, &sink, after.path()).await]);
        assert_eq!(again.of("replayed_spans_total", name), spans);
        again.until_quiet(name).await;
        assert_eq!(again.of("sent_spans_total", name), spans);
    }
}

#[tokio::test]
async fn each_signal_has_a_folder_of_its_own_and_comes_back_as_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let dead = Sink::new([], BUSY);
    let way = Way::new(vec![taking(&Signal::ALL, durable("back", &dead, folder.path()).await)]);
    way.bench.send_durably(parcel(0..10)).await.unwrap();
    for signal in [Signal::Metrics, Signal::Logs] {
        way.send(signal, request(signal, 7)).await.unwrap();
        assert_eq!(way.counted(signal), [7, 0, 7]);
        assert!(folder.path().join(signal.name()).join("lock").is_file());
    }
    assert!(way.bench.exports.drain(Duration::ZERO).await.undelivered.is_empty());
    assert_eq!(way.bench.of("left_metric_points_total", "back"), 7);
    drop(way);

    let alive = Sink::new([], Reply::Ok);
    let way = Way::new(vec![taking(&Signal::ALL, durable("back", &alive, folder.path()).await)]);
    assert_eq!(way.bench.of("replayed_log_records_total", "back"), 7);
    for signal in Signal::ALL {
        way.until_quiet(signal, "back").await;
        let body = match signal {
            Signal::Traces => parcel(0..10).body,
            other => request(other, 7),
        };
        let path = format!("/v1/{signal}");
        assert!(alive.seen().bodies.contains(&(path, body.to_vec())), "{signal} arrives byte for byte");
    }
}
