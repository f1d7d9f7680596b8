//! Destinations that get a part of what comes in.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use otlp::condition::{Condition, Operator};
use otlp::edit::Constant;

use super::*;
use crate::export::config::When;

/// Ten spans of each service, numbered throughout.
pub(super) fn services(names: &[&str]) -> Parcel {
    let mut body = Vec::new();
    for (at, name) in (0..).zip(names) {
        let spans = parcel(at * 10..at * 10 + 10);
        let mut request = ExportTraceServiceRequest::decode(&spans.body[..]).unwrap();
        let value = Some(AnyValue { value: Some(any_value::Value::StringValue((*name).into())) });
        let attributes = vec![KeyValue { key: "service.name".into(), value, ..KeyValue::default() }];
        request.resource_spans[0].resource = Some(Resource { attributes, ..Resource::default() });
        body.extend_from_slice(&request.encode_to_vec());
    }
    Parcel {
        signal: Signal::Traces,
        body: body.into(),
        items: names.len() as u32 * 10,
        context: Arc::default(),
        custody: None,
    }
}

pub(super) fn when(service: &str) -> When {
    let path = "resource.attributes[\"service.name\"]".parse().unwrap();
    let values = vec![Constant::Text(service.into())];
    When::Any(vec![vec![Condition { path, operator: Operator::Equals, values, negated: false }]])
}

async fn back(name: &str, sink: &Sink, when: Option<When>) -> DestinationConfig {
    let mut config = quick(name, endpoint(Protocol::Grpc, sink.listen().await));
    config.when = when;
    config
}

#[tokio::test]
async fn each_destination_gets_its_part_and_what_none_takes_is_counted() {
    let [all, shop, rest] = [(); 3].map(|()| Sink::new([], Reply::Ok));
    let mut configs =
        vec![back("shop", &shop, Some(when("shop"))).await, back("rest", &rest, Some(When::Otherwise)).await];
    let bench = Bench::new(configs.clone());
    drop(bench.exports.accept(services(&["shop", "bank", "shop"])).unwrap());
    let shops = shop.until(|seen| seen.taken.len() == 20).await;
    assert!(shops.taken.keys().all(|number| *number < 10 || *number >= 20));
    let rests = rest.until(|seen| seen.taken.len() == 10).await;
    assert!(rests.taken.keys().all(|number| (10..20).contains(number)));
    assert_eq!(bench.value("unrouted_spans_total"), 0);

    // A reload changes who gets what; queues and connections stay where nothing else has changed.
    configs.pop();
    bench.exports.reconfigure(configs.clone()).unwrap();
    drop(bench.exports.accept(services(&["bank", "shop", "mail"])).unwrap());
    bench.until_quiet("shop").await;
    assert_eq!((bench.of("admitted_spans_total", "shop"), bench.value("unrouted_spans_total")), (30, 20));

    configs.push(back("all", &all, None).await);
    bench.exports.reconfigure(configs).unwrap();
    drop(bench.exports.accept(services(&["bank"])).unwrap());
    bench.until_quiet("all").await;
    assert_eq!((all.seen().taken.len(), bench.value("unrouted_spans_total")), (10, 20));
}

#[tokio::test]
async fn a_full_queue_refuses_only_what_it_would_get_and_then_for_all() {
    let (stuck, free) = (Sink::new([], Reply::Hang), Sink::new([], Reply::Ok));
    let mut small = back("stuck", &stuck, Some(when("shop"))).await;
    small.queue.max_bytes = services(&["shop"]).body.len() + 200;
    (small.concurrency, small.timeout) = (1, Duration::from_mins(10));
    let bench = Bench::new(vec![back("free", &free, Some(when("bank"))).await, small]);
    drop(bench.exports.accept(services(&["shop"])).unwrap());
    let refusal = bench.exports.accept(services(&["bank", "shop"])).err().unwrap();
    assert!(refusal.is_retryable() && refusal.message.contains("`stuck`"), "{}", refusal.message);
    assert_eq!(bench.exports.is_full(), None, "others have room");
    drop(bench.exports.accept(services(&["bank"])).unwrap());
    bench.until_quiet("free").await;
    assert_eq!(free.seen().taken.len(), 10);
    assert_eq!(bench.of_traces("queue_bytes", "free"), 0, "what was reserved came back");
    bench.assert_sum("stuck");
    assert_eq!((bench.of("refused_spans_total", "stuck"), bench.of("refused_spans_total", "free")), (10, 0));
}

#[tokio::test]
async fn conditions_that_cannot_be_used_change_nothing() {
    let sink = Sink::new([], Reply::Ok);
    let bench = Bench::new(vec![back("back", &sink, None).await]);
    let path = "name".parse().unwrap();
    let condition = Condition { path, operator: Operator::Exists, values: Vec::new(), negated: false };
    let config = back("back", &sink, Some(When::Any(vec![vec![condition]]))).await;
    assert!(matches!(bench.exports.reconfigure(vec![config]), Err(StartError::When(_))));
    drop(bench.exports.accept(services(&["any"])).unwrap());
    bench.until_quiet("back").await;
    assert_eq!(sink.seen().taken.len(), 10);
}
