//! Client and sink understand each other in every protocol, compression and behaviour.

use super::*;
use crate::{Answer, Client, Compression, Generator, Profile, Protocol};
use std::time::Duration;

const PROTOCOLS: [Protocol; 3] = [Protocol::Grpc, Protocol::HttpProtobuf, Protocol::HttpJson];
const COMPRESSIONS: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

fn client(sink: &Sink, protocol: Protocol) -> Client {
    Client::new(protocol, &sink.address().to_string())
}

#[tokio::test]
async fn what_is_sent_arrives_in_every_protocol_and_compression() {
    let sink = Sink::keeping(Keep::Requests).await.unwrap();
    let mut generator = Generator::new(Profile::Medium, 5);
    for protocol in PROTOCOLS {
        for compression in COMPRESSIONS {
            let made = generator.request(20);
            let answer = client(&sink, protocol).compress(compression).send(&made.request).await.unwrap();
            assert!(answer.is_whole(), "{protocol:?} {compression:?}: {answer:?}");
            assert_eq!(sink.arrivals(|arrivals| arrivals.requests.last().cloned()), Some(made.request));
            assert!(made.ids.iter().all(|id| sink.arrivals(|arrivals| arrivals.ids[id].times == 1)));
        }
    }
    assert_eq!(sink.spans(), 180);
    let h2c = Client::h2c(Protocol::HttpProtobuf, &sink.address().to_string());
    assert!(h2c.send(&generator.request(1).request).await.unwrap().is_whole());
}

#[tokio::test]
async fn refusals_say_whether_and_when_to_come_back() {
    let sink = Sink::start().await.unwrap();
    let request = Generator::new(Profile::Small, 6).request(3).request;
    for protocol in PROTOCOLS {
        let client = client(&sink, protocol);
        sink.behave(Behaviour::Unavailable(Some(Duration::from_secs(2))));
        let answer = client.send(&request).await.unwrap();
        let refusal = answer.refusal().unwrap();
        assert!(refusal.is_retryable() && refusal.delay == Some(Duration::from_secs(2)), "{refusal:?}");
        sink.behave(Behaviour::Invalid);
        let answer = client.send(&request).await.unwrap();
        assert!(!answer.refusal().unwrap().is_retryable(), "{answer:?}");
        sink.behave(Behaviour::Partial(2));
        let answer = client.send(&request).await.unwrap();
        assert!(matches!(answer, Answer::Accepted { rejected: 2, .. }), "{answer:?}");
        sink.behave(Behaviour::Break);
        assert!(client.send(&request).await.is_err());
    }
}

#[tokio::test]
async fn a_hanging_sink_answers_once_it_may() {
    let sink = Sink::start().await.unwrap();
    sink.behave(Behaviour::Hang);
    let client = client(&sink, Protocol::Grpc);
    let request = Generator::new(Profile::Small, 7).request(3).request;
    let call = tokio::spawn(async move { client.send(&request).await });
    // It did arrive, and is not answered: only another behaviour ends the wait.
    tokio::time::timeout(Duration::from_millis(100), async { sink.wait_for_spans(1).await }).await.unwrap_err();
    sink.behave(Behaviour::Accept);
    assert!(call.await.unwrap().unwrap().is_whole());
    assert_eq!(sink.spans(), 3);
}

#[tokio::test]
async fn what_is_no_otlp_is_remembered_as_such() {
    let sink = Sink::start().await.unwrap();
    let answer = client(&sink, Protocol::HttpProtobuf).send_bytes("no message".into()).await.unwrap();
    assert!(answer.refusal().is_some());
    assert_eq!(sink.arrivals(|arrivals| arrivals.unreadable.len()), 1);
}

#[tokio::test]
async fn every_attempt_is_remembered_also_of_what_is_refused_in_any_words() {
    let sink = Sink::keeping(Keep::Requests).await.unwrap();
    let made = Generator::new(Profile::Small, 8).request(1);
    let id = made.ids[0];
    let (code, delay) = (8, Duration::from_secs(3));
    let refuse = |after| Behaviour::Refuse { grpc: code, http: 429, after: Some(after) };
    sink.behave(refuse(After::Delay(delay)));
    for protocol in PROTOCOLS {
        let answer = client(&sink, protocol).send(&made.request).await.unwrap();
        let refusal = answer.refusal().unwrap();
        assert!(refusal.code == code && refusal.delay == Some(delay), "{refusal:?}");
    }
    sink.behave(refuse(After::Date(std::time::SystemTime::now())));
    let refused = client(&sink, Protocol::Grpc).send(&made.request).await.unwrap();
    assert!(refused.refusal().unwrap().delay.is_none(), "gRPC knows no dates");
    for compression in [Compression::None, Compression::Gzip] {
        sink.behave(Behaviour::Verbose(5000, compression));
        let answer = client(&sink, Protocol::Grpc).send(&made.request).await.unwrap();
        let Answer::Accepted { rejected: 0, message } = answer else { panic!("{answer:?}") };
        assert_eq!(message.len(), 5000);
    }
    assert_eq!(sink.arrivals(|arrivals| arrivals.attempts_of(id).len()), 6);
    assert_eq!(sink.spans(), 2);
}
