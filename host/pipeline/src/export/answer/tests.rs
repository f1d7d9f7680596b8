//! The retry tables row by row, and answers as real servers put them.

use bytes::Bytes;
use otlp::wire::{put_bytes, put_varint_field};

use super::*;

fn status_with_retry_info(seconds: u64, nanos: u64) -> Vec<u8> {
    let mut delay = Vec::new();
    put_varint_field(&mut delay, 1, seconds);
    put_varint_field(&mut delay, 2, nanos);
    let mut info = Vec::new();
    put_bytes(&mut info, 1, &delay);
    let mut any = Vec::new();
    put_bytes(&mut any, 1, b"type.googleapis.com/google.rpc.RetryInfo");
    put_bytes(&mut any, 2, &info);
    let mut other = Vec::new();
    put_bytes(&mut other, 1, b"type.googleapis.com/google.rpc.DebugInfo");
    let mut status = Vec::new();
    put_varint_field(&mut status, 1, 8);
    put_bytes(&mut status, 2, b"busy");
    put_bytes(&mut status, 3, &other);
    put_bytes(&mut status, 3, &any);
    status
}

fn grpc(code: u32, details: Option<&str>) -> Reply {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.into());
    trailers.insert("grpc-message", "a%20b%C3%A4%2".parse().unwrap());
    if let Some(details) = details {
        trailers.insert("grpc-status-details-bin", details.parse().unwrap());
    }
    Reply { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::new(), trailers }
}

fn http(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    Reply {
        status: StatusCode::from_u16(status).unwrap(),
        headers: map,
        body: Bytes::copy_from_slice(body),
        trailers: HeaderMap::new(),
    }
}

fn is_retry(answer: &Answer) -> bool {
    matches!(answer, Answer::Retry { .. })
}

#[test]
fn e1_grpc_codes_are_retried_exactly_as_otlp_says() {
    let retried: Vec<u32> = (1..=17).filter(|&code| is_retry(&of_grpc(&grpc(code, None)))).collect();
    assert_eq!(retried, [CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS]);
}

#[test]
fn e1_resource_exhausted_is_retried_only_with_retry_info() {
    let details = BASE64.encode(status_with_retry_info(3, 500_000_000));
    for details in [details.as_str(), details.trim_end_matches('=')] {
        let Answer::Retry { after, reason } = of_grpc(&grpc(RESOURCE_EXHAUSTED, Some(details))) else {
            panic!("to be retried")
        };
        assert_eq!(after, Some(Duration::from_millis(3500)));
        assert_eq!(reason, "gRPC status 8 RESOURCE_EXHAUSTED: a bä%2");
    }
    assert!(!is_retry(&of_grpc(&grpc(RESOURCE_EXHAUSTED, Some("AAAA")))));
    assert!(!is_retry(&of_grpc(&grpc(3, Some(&details)))), "an invalid argument stays invalid");
}

#[test]
fn a_request_that_is_too_large_is_told_from_other_refusals_by_what_servers_say() {
    let answer = |code: u32, text: &str, details: Option<&str>| {
        let mut reply = grpc(code, details);
        reply.trailers.insert("grpc-message", text.parse().unwrap());
        of_grpc(&reply)
    };
    for (code, text) in [
        (RESOURCE_EXHAUSTED, "grpc: received message larger than max (5242880 vs. 4194304)"),
        (RESOURCE_EXHAUSTED, "grpc: received message after decompression larger than max 4194304"),
        (RESOURCE_EXHAUSTED, "gRPC message exceeds maximum size 4194304: 5242880"),
        (RESOURCE_EXHAUSTED, "Received message exceeds the maximum configured message size."),
        (OUT_OF_RANGE, "Error, decoded message length too large: found 5242880 bytes, the limit is: 4194304 bytes"),
    ] {
        assert!(matches!(answer(code, text, None), Answer::TooLarge { .. }), "{text}");
    }
    let rate = "RATE_LIMITED: ingestion rate limit (15000000 bytes) exceeded while adding 1000 bytes";
    assert!(matches!(answer(RESOURCE_EXHAUSTED, rate, None), Answer::Rejected { .. }));
    assert!(is_retry(&answer(OUT_OF_RANGE, "", None)));
    assert!(is_retry(&answer(UNAVAILABLE, "the queue is too large", None)));
    let details = BASE64.encode(status_with_retry_info(3, 0));
    assert!(is_retry(&answer(RESOURCE_EXHAUSTED, "too large a backlog", Some(&details))));
    assert!(matches!(of_http(&http(413, &[], b""), SystemTime::now()), Answer::TooLarge { .. }));
}

#[test]
fn e7_an_answer_that_is_over_the_limit_once_it_is_inflated_is_a_permanent_failure() {
    use std::io::Write as _;
    for (bytes, is_taken) in [(LARGEST_ANSWER, true), (LARGEST_ANSWER + 1, false)] {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&vec![0; bytes]).unwrap();
        let packed = gzip.finish().unwrap();
        let mut reply = grpc(0, None);
        reply.headers.insert("grpc-encoding", "gzip".parse().unwrap());
        reply.body = [&[1][..], &(packed.len() as u32).to_be_bytes(), &packed].concat().into();
        assert_eq!(matches!(of_grpc(&reply), Answer::Accepted { .. }), is_taken, "{bytes}");
    }
}

#[test]
fn a_status_in_the_headers_of_an_answer_without_a_message_counts() {
    let mut reply = grpc(14, None);
    std::mem::swap(&mut reply.headers, &mut reply.trailers);
    assert!(is_retry(&of_grpc(&reply)));
}

#[test]
fn answers_that_are_not_grpc_are_judged_by_their_http_status() {
    let retried: Vec<u16> = [200, 400, 401, 403, 404, 429, 500, 502, 503, 504]
        .into_iter()
        .filter(|&s| is_retry(&of_grpc(&http(s, &[], b""))))
        .collect();
    assert_eq!(retried, [429, 502, 503, 504]);
}

#[test]
fn e3_http_statuses_are_retried_exactly_as_otlp_says() {
    let now = SystemTime::now();
    let retried: Vec<u16> = (300..600).filter(|&status| is_retry(&of_http(&http(status, &[], b""), now))).collect();
    assert_eq!(retried, [429, 502, 503, 504]);
}

#[test]
fn e3_retry_after_is_seconds_or_a_date() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_470);
    let after = |value: &str| match of_http(&http(503, &[("retry-after", value)], b""), now) {
        Answer::Retry { after, .. } => after,
        other => panic!("{other:?}"),
    };
    assert_eq!(after("7"), Some(Duration::from_secs(7)));
    assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::from_secs(10)));
    assert_eq!(after("Wed, 21 Oct 2015 07:27:00 GMT"), Some(Duration::ZERO));
    assert_eq!(after("soon"), None);
}

#[test]
fn e5_partial_success_is_an_acceptance_on_both_protocols() {
    let mut partial = Vec::new();
    put_varint_field(&mut partial, 1, 3);
    put_bytes(&mut partial, 2, b"bad ids");
    let mut response = Vec::new();
    put_bytes(&mut response, 1, &partial);
    let expected = Answer::Accepted { rejected: 3, message: "bad ids".into() };
    assert_eq!(of_http(&http(200, &[], &response), SystemTime::now()), expected);
    let mut reply = grpc(0, None);
    reply.body = Bytes::from([&[0, 0, 0, 0, response.len() as u8], response.as_slice()].concat());
    assert_eq!(of_grpc(&reply), expected);
}

#[test]
fn an_answer_without_partial_success_rejects_nothing_and_a_negative_count_neither() {
    let nothing = Answer::Accepted { rejected: 0, message: String::new() };
    assert_eq!(of_grpc(&grpc(0, None)), nothing);
    assert_eq!(of_http(&http(200, &[], b""), SystemTime::now()), nothing);
    let mut partial = Vec::new();
    put_varint_field(&mut partial, 1, u64::MAX);
    let mut response = Vec::new();
    put_bytes(&mut response, 1, &partial);
    assert_eq!(of_http(&http(200, &[], &response), SystemTime::now()), nothing);
}

#[test]
fn the_reason_is_the_status_message_or_the_text_of_the_body() {
    let protobuf = [("content-type", "application/x-protobuf")];
    let reason = |reply: &Reply| match of_http(reply, SystemTime::now()) {
        Answer::Rejected { reason } => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(&http(400, &protobuf, &status_with_retry_info(0, 0))), "HTTP 400 Bad Request: busy");
    assert_eq!(reason(&http(400, &[], b" too big\n")), "HTTP 400 Bad Request: too big");
    assert!(reason(&http(400, &[], "ä".repeat(1000).as_bytes())).chars().count() < 400);
}

#[test]
fn a_compressed_answer_of_a_go_server_is_read() {
    use std::io::Write as _;
    let mut partial = Vec::new();
    put_varint_field(&mut partial, 1, 3);
    put_bytes(&mut partial, 2, b"three of them");
    let mut response = Vec::new();
    put_bytes(&mut response, 1, &partial);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&response).unwrap();
    let packed = gzip.finish().unwrap();
    let mut reply = grpc(0, None);
    reply.headers.insert("grpc-encoding", "gzip".parse().unwrap());
    reply.body = [&[1][..], &(packed.len() as u32).to_be_bytes(), &packed].concat().into();
    assert_eq!(of_grpc(&reply), Answer::Accepted { rejected: 3, message: "three of them".to_owned() });
    // Cut off, it says nothing, and the spans are taken all the same.
    reply.body.truncate(12);
    assert_eq!(of_grpc(&reply), Answer::Accepted { rejected: 0, message: String::new() });
}
