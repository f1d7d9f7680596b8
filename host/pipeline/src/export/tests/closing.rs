//! Back ends that end connections in good order, as load balancers ask of them: `GOAWAY`, and `Connection: close`.

use super::*;

#[tokio::test]
async fn connections_that_are_ended_in_good_order_cost_no_span_and_no_retry() {
    for protocol in BOTH {
        // Each connection takes seven requests, while more are on their way.
        let sink = Sink::lasting(7);
        let mut config = quick("back", endpoint(protocol, sink.listen().await));
        (config.concurrency, config.connections) = (8, 1);
        config.batch.max_items = 1;
        let bench = Bench::new(vec![config]);
        for n in 0..500 {
            bench.send(parcel(n..n + 1)).unwrap();
        }
        let seen = sink.until(|seen| seen.taken.len() == 500).await;
        bench.until_quiet("back").await;
        assert!(seen.taken.values().all(|&times| times == 1), "{protocol:?}: some came twice");
        assert!(seen.connections.0 > 20, "{protocol:?}: {:?}", seen.connections);
        assert_eq!(
            (bench.of("sent_spans_total", "back"), bench.of_traces("retries_total", "back")),
            (500, 0),
            "{protocol:?}"
        );
    }
}
