//! J1 to J13 of the conformance list, with the official messages as the oracle.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use proptest::prelude::*;
use prost::Message;

use super::{Converted, Lenient, to_protobuf};
use crate::signal::Signal;
mod signals;

use crate::fixture::{array, attributes, map, resource_spans, text};

fn convert(json: &str) -> Converted {
    to_protobuf(Signal::Traces, json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn decode(json: &str) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(&convert(json).body[..]).unwrap()
}

/// One span with these members.
fn span(members: &str) -> Span {
    decode(&wrap(members)).resource_spans.remove(0).scope_spans.remove(0).spans.remove(0)
}

fn wrap(members: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{members}}}]}}]}}]}}"#)
}

/// One attribute's value.
fn value(json: &str) -> Option<Value> {
    let mut span = span(&format!(r#""attributes":[{{"key":"k","value":{json}}}]"#));
    span.attributes.remove(0).value.and_then(|value| value.value)
}

fn refused(json: &str) -> String {
    to_protobuf(Signal::Traces, json.as_bytes()).unwrap_err().to_string()
}

#[test]
fn j01_ids_are_hex_of_either_case_and_other_bytes_base64() {
    let made = span(
        r#""traceId":"0123456789abcdef0123456789ABCDEF","spanId":"EEE19B7EC3C1B174","parentSpanId":"eee19b7ec3c1b173",
           "links":[{"traceId":"000102030405060708090A0b0c0d0e0f","spanId":"0001020304050607"}]"#,
    );
    assert_eq!(made.trace_id, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128.to_be_bytes());
    assert_eq!(made.span_id, 0xeee1_9b7e_c3c1_b174_u64.to_be_bytes());
    assert_eq!(made.parent_span_id, 0xeee1_9b7e_c3c1_b173_u64.to_be_bytes());
    assert_eq!(made.links[0].trace_id, (0..16).collect::<Vec<u8>>());
    assert_eq!(made.links[0].span_id, (0..8).collect::<Vec<u8>>());
    for base64 in ["+/8B", "-_8B"] {
        let expected = Some(Value::BytesValue(vec![0xfb, 0xff, 1]));
        assert_eq!(value(&format!(r#"{{"bytesValue":"{base64}"}}"#)), expected);
    }
    for base64 in ["AA==", "AA"] {
        assert_eq!(value(&format!(r#"{{"bytesValue":"{base64}"}}"#)), Some(Value::BytesValue(vec![0])));
    }
}

#[test]
fn j02_enums_are_integers_and_names_are_forgiven_and_counted() {
    let made = span(r#""kind":2,"status":{"code":2,"message":"m"}"#);
    assert_eq!((made.kind, made.status.unwrap().code), (2, 2));
    assert_eq!(span(r#""kind":77"#).kind, 77);
    let named = convert(&wrap(r#""kind":"SPAN_KIND_SERVER","status":{"code":"STATUS_CODE_ERROR"}"#));
    assert_eq!(named.lenient, Lenient { enum_names: 2, snake_case_keys: 0 });
    assert_eq!(named.body, convert(&wrap(r#""kind":2,"status":{"code":2}"#)).body);
    assert!(refused(&wrap(r#""kind":"SERVER""#)).contains("`SERVER` is no value of this enum"));
}

#[test]
fn j03_unknown_fields_are_ignored_at_every_level() {
    let noise = r#""future":{"a":[1,{"b":null}],"c":"x"}"#;
    let json = format!(
        r#"{{{noise},"resourceSpans":[{{{noise},"resource":{{{noise}}},"scopeSpans":[{{{noise},"scope":{{{noise}}},
           "spans":[{{{noise},"name":"n","attributes":[{{{noise},"key":"k","value":{{{noise},"stringValue":"v"}}}}],
           "events":[{{{noise},"name":"e"}}],"links":[{{{noise}}}],"status":{{{noise}}}}}]}}]}}]}}"#
    );
    let spans = decode(&json).resource_spans.remove(0).scope_spans.remove(0).spans;
    assert_eq!(spans[0].name, "n");
    assert_eq!(spans[0].attributes, attributes(vec![("k", text("v"))]));
    assert_eq!((spans[0].events[0].name.as_str(), spans[0].links.len()), ("e", 1));
}

#[test]
fn j04_snake_case_is_forgiven_and_counted() {
    let json = r#"{"resource_spans":[{"scope_spans":[{"spans":[{"trace_id":"01","start_time_unix_nano":"5"}]}]}]}"#;
    let converted = convert(json);
    assert_eq!(converted.lenient.snake_case_keys, 4);
    assert_eq!(converted.body, convert(&wrap(r#""traceId":"01","startTimeUnixNano":"5""#)).body);
}

#[test]
fn j05_j06_integers_are_strings_or_numbers_and_exact() {
    for (json, expected) in [
        ("\"1544712660000000001\"", 1_544_712_660_000_000_001),
        ("1544712660000000001", 1_544_712_660_000_000_001),
        ("\"18446744073709551615\"", u64::MAX),
        ("18446744073709551615", u64::MAX),
        ("1e3", 1_000),
        ("5.0", 5),
    ] {
        assert_eq!(span(&format!(r#""startTimeUnixNano":{json}"#)).start_time_unix_nano, expected, "{json}");
    }
    for (json, expected) in [
        ("\"9007199254740993\"", 9_007_199_254_740_993),
        ("9007199254740993", 9_007_199_254_740_993),
        ("-9223372036854775808", i64::MIN),
        ("\"9223372036854775807\"", i64::MAX),
        ("\"-1\"", -1),
    ] {
        assert_eq!(value(&format!(r#"{{"intValue":{json}}}"#)), Some(Value::IntValue(expected)), "{json}");
    }
    let made =
        span(r#""droppedAttributesCount":"7","droppedEventsCount":8,"flags":"257","droppedLinksCount":4294967295"#);
    assert_eq!((made.dropped_attributes_count, made.dropped_events_count, made.flags), (7, 8, 257));
    assert_eq!(made.dropped_links_count, u32::MAX);
    for wrong in [
        r#""flags":4294967296"#,
        r#""flags":-1"#,
        r#""startTimeUnixNano":"18446744073709551616""#,
        r#""startTimeUnixNano":18446744073709551616"#,
        r#""startTimeUnixNano":1.5"#,
        r#""startTimeUnixNano":"x""#,
        r#""startTimeUnixNano":"-1""#,
        r#""startTimeUnixNano":true"#,
        r#""attributes":[{"value":{"intValue":9223372036854775808}}]"#,
    ] {
        assert!(to_protobuf(Signal::Traces, wrap(wrong).as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn j06_doubles_are_numbers_or_the_names_of_what_json_has_no_number_for() {
    for (json, expected) in [
        ("1.5", 1.5),
        ("\"1.5\"", 1.5),
        ("3", 3.0),
        ("-2.2250738585072014e-308", -2.225_073_858_507_201_4e-308),
        ("0.1", 0.1),
        ("7.038531e-26", 7.038_531e-26),
        ("\"Infinity\"", f64::INFINITY),
        ("\"-Infinity\"", f64::NEG_INFINITY),
    ] {
        assert_eq!(value(&format!(r#"{{"doubleValue":{json}}}"#)), Some(Value::DoubleValue(expected)), "{json}");
    }
    let Some(Value::DoubleValue(nan)) = value(r#"{"doubleValue":"NaN"}"#) else { panic!() };
    assert!(nan.is_nan());
    let long = "1".repeat(2_000);
    for wrong in ["\"inf\"", "\"nan\"", "\"\"", "true", "1e400", "\"1,5\"", "{}", long.as_str()] {
        let json = wrap(&format!(r#""attributes":[{{"value":{{"doubleValue":{wrong}}}}}]"#));
        assert!(to_protobuf(Signal::Traces, json.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn j07_null_is_absent_and_empty_is_fine() {
    let made =
        span(r#""name":null,"traceId":null,"attributes":null,"events":[],"status":null,"kind":null,"flags":null"#);
    assert_eq!(made, Span::default());
    assert_eq!(value(r#"{"stringValue":null}"#), None);
    assert_eq!(value(r#"{"doubleValue":null}"#), None);
    assert_eq!(value("null"), None);
    for empty in ["{}", r#"{"resourceSpans":[]}"#, r#"{"resourceSpans":null}"#, " {\n} "] {
        assert!(convert(empty).body.is_empty(), "{empty}");
    }
}

#[test]
fn j08_an_empty_id_has_no_bytes() {
    let made = span(r#""traceId":"","spanId":"00","parentSpanId":"""#);
    assert_eq!((made.trace_id.len(), made.span_id.len(), made.parent_span_id.len()), (0, 1, 0));
}

#[test]
fn j09_ids_that_are_no_hex_are_refused_by_their_place() {
    let error = to_protobuf(Signal::Traces, wrap("\n\"traceId\":\"abc\"").as_bytes()).unwrap_err();
    assert_eq!(error.path, "resourceSpans[0].scopeSpans[0].spans[0].traceId");
    assert_eq!(error.line, 2);
    assert_eq!(
        error.to_string(),
        format!(
            "malformed OTLP/JSON: an id has an odd number of hex digits, 3, at line 2 column {}, in {}",
            error.column, error.path
        )
    );
    let error = refused(r#"{"resourceSpans":[{},{"scopeSpans":[{"spans":[{},{"links":[{"spanId":"zz"}]}]}]}]}"#);
    assert!(error.ends_with("in resourceSpans[1].scopeSpans[0].spans[1].links[0].spanId"), "{error}");
    assert!(refused(&wrap(r#""traceId":5"#)).contains("expected a string of hex digits, not a number"));
    assert!(refused(&wrap(r#""spanId":"é""#)).contains("no hex digit"));
}

#[test]
fn j10_the_last_of_a_repeated_key_wins_in_any_order_of_keys() {
    assert_eq!(span(r#""name":"a","kind":1,"name":"b","traceId":"01","name":"c""#).name, "c");
    assert_eq!(span(r#""name":"a","kind":3,"name":null"#), Span { kind: 3, ..Span::default() });
    // In protobuf these would merge.
    let made = span(r#""status":{"code":2},"events":[{"name":"a"}],"status":{"message":"m"},"events":[{"name":"b"}]"#);
    assert_eq!(made.status, Some(Status { message: "m".into(), code: 0 }));
    assert_eq!(made.events, [Event { name: "b".into(), ..Event::default() }]);
    assert_eq!(value(r#"{"stringValue":"a","intValue":"3"}"#), Some(Value::IntValue(3)));
    assert_eq!(value(r#"{"intValue":"3","stringValue":null}"#), Some(Value::IntValue(3)));
    assert_eq!(value(r#"{"intValue":"3","intValue":null}"#), None);
    let late = decode(
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"\u00e9\ud83d\ude00\n"}],"scope":{"name":"s"}}],
        "resource":{"attributes":[{"value":{"stringValue":"v"},"key":"k"}]}}]}"#,
    );
    let expected = resource_spans(vec![("k", text("v"))], "s", vec![Span { name: "é😀\n".into(), ..Span::default() }]);
    assert_eq!(late.resource_spans, [expected]);
}

#[test]
fn j11_depth_is_bounded_and_text_must_be_utf_8() {
    let nested = |depth: usize| {
        let value = format!("{}{}", r#"{"arrayValue":{"values":["#.repeat(depth), "]}}".repeat(depth));
        wrap(&format!(r#""attributes":[{{"key":"k","value":{value}}}]"#))
    };
    assert!(to_protobuf(Signal::Traces, nested(30).as_bytes()).is_ok());
    assert!(refused(&nested(100_000)).contains("recursion limit exceeded"));
    let ignored = format!(r#"{{"x":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    // Ignored values cost no stack.
    assert!(convert(&ignored).body.is_empty());
    let error = to_protobuf(Signal::Traces, b"{\n \"resourceSpans\": \"\xff\"}").unwrap_err();
    assert_eq!((error.what.as_str(), error.line, error.column), ("text is not UTF-8", 2, 20));
    assert!(to_protobuf(Signal::Traces, wrap(r#""name":"\ud800""#).as_bytes()).is_err());
}

#[test]
fn j13_values_of_every_kind_nest() {
    let json = r#"{"kvlistValue":{"values":[
        {"key":"a","value":{"arrayValue":{"values":[{"stringValue":""},{"boolValue":false},{},{"bytesValue":""}]}}},
        {"key":"b","value":{"kvlistValue":{}}},{"key":"c"}]}}"#;
    let mut mixed = array(vec![text(""), Value::BoolValue(false), Value::BoolValue(true), Value::BytesValue(vec![])]);
    let Value::ArrayValue(list) = &mut mixed else { panic!() };
    list.values[2].value = None;
    let mut expected = map(vec![("a", mixed), ("b", map(vec![])), ("c", text(""))]);
    let Value::KvlistValue(list) = &mut expected else { panic!() };
    list.values[2].value = None;
    assert_eq!(value(json), Some(expected));
}

#[test]
fn what_is_no_request_is_refused() {
    for wrong in [
        "",
        "[]",
        "null",
        "5",
        "{",
        "{}{}",
        r#"{"resourceSpans":{}}"#,
        r#"{"resourceSpans":["x"]}"#,
        r#"{"resourceSpans":[5]}"#,
        r#"{"resourceSpans":[[]]}"#,
    ] {
        assert!(to_protobuf(Signal::Traces, wrong.as_bytes()).is_err(), "{wrong}");
    }
    assert!(refused(&wrap(r#""name":5"#)).contains("expected a string, not a number"));
    assert!(refused(&wrap(r#""status":[]"#)).contains("expected an object, not an array"));
    assert!(refused(&wrap(r#""attributes":[{"value":{"boolValue":"true"}}]"#)).contains("expected true or false"));
}

#[test]
fn messages_of_every_length_get_the_right_header() {
    for length in [0, 1, 100, 120, 127, 128, 200, 16_000, 16_383, 16_384, 40_000, 2_200_000] {
        let name = "n".repeat(length);
        let made = decode(&wrap(&format!(r#""name":"{name}","events":[{{"name":"{name}"}}]"#)));
        let span = &made.resource_spans[0].scope_spans[0].spans[0];
        assert_eq!((span.name.len(), span.events[0].name.len()), (length, length));
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        ".{0,20}".prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        prop::num::f64::NORMAL.prop_map(Value::DoubleValue),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(array),
            prop::collection::vec((".{0,5}", inner), 0..4)
                .prop_map(|pairs| map(pairs.iter().map(|(key, value)| (key.as_str(), value.clone())).collect())),
        ]
    })
}

fn any_attributes() -> impl Strategy<Value = Vec<(String, Value)>> {
    prop::collection::vec((".{0,10}", any_value()), 0..5)
}

fn pairs(list: &[(String, Value)]) -> Vec<(&str, Value)> {
    list.iter().map(|(key, value)| (key.as_str(), value.clone())).collect()
}

prop_compose! {
    fn any_span()(
        trace_id in prop::collection::vec(any::<u8>(), 16),
        span_id in prop::collection::vec(any::<u8>(), 8),
        texts in prop::array::uniform4(".{0,200}"),
        numbers in any::<[u32; 4]>(),
        times in any::<[u64; 3]>(),
        kind in 0..6i32,
        code in 0..3i32,
        own in any_attributes(),
        event in any_attributes(),
        link in any_attributes(),
    ) -> Span {
        let [name, trace_state, message, event_name] = texts;
        Span {
            trace_id: trace_id.clone(),
            span_id: span_id.clone(),
            parent_span_id: span_id.clone(),
            trace_state,
            name,
            kind,
            start_time_unix_nano: times[0],
            end_time_unix_nano: times[1],
            attributes: attributes(pairs(&own)),
            dropped_attributes_count: numbers[0],
            events: vec![Event {
                time_unix_nano: times[2],
                name: event_name,
                attributes: attributes(pairs(&event)),
                dropped_attributes_count: numbers[1],
            }],
            dropped_events_count: numbers[2],
            links: vec![Link { trace_id, span_id, attributes: attributes(pairs(&link)), ..Link::default() }],
            dropped_links_count: numbers[3],
            status: Some(Status { message, code }),
            flags: numbers[3],
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_the_official_messages_say_in_json_is_what_we_read(
        resource in any_attributes(),
        spans in prop::collection::vec(any_span(), 0..4),
    ) {
        let request = ExportTraceServiceRequest { resource_spans: vec![resource_spans(pairs(&resource), "s", spans)] };
        let json = serde_json::to_string(&request).unwrap();
        let read = to_protobuf(Signal::Traces, json.as_bytes()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(ExportTraceServiceRequest::decode(&read.body[..]).unwrap(), request);
        prop_assert_eq!(read.lenient, Lenient::default());
    }

    #[test]
    fn whatever_is_accepted_is_a_request(cut in 0usize..400, junk in ".{0,4}", spans in any_span()) {
        let request = ExportTraceServiceRequest { resource_spans: vec![resource_spans(vec![], "s", vec![spans])] };
        let mut json = serde_json::to_string(&request).unwrap();
        if let Some((at, _)) = json.char_indices().nth(cut) {
            json.insert_str(at, &junk);
        }
        if let Ok(read) = to_protobuf(Signal::Traces, json.as_bytes()) {
            prop_assert!(ExportTraceServiceRequest::decode(&read.body[..]).is_ok());
        }
    }
}

#[test]
fn an_element_that_is_null_keeps_the_places_of_the_others() {
    let Some(Value::ArrayValue(list)) = value(r#"{"arrayValue":{"values":[null,{"boolValue":true}]}}"#) else {
        panic!()
    };
    assert_eq!(list.values[1], crate::fixture::any(Value::BoolValue(true)));
}
