//! Policies at random on traces at random, against a model that reads the Collector's rules span by span.

use proptest::prelude::*;
use tracemill_sdk::prelude::*;
use tracemill_sdk::testing::Value;

use crate::common::{id, with};

const KEY: &str = "k";

/// A policy as the model knows it.
#[derive(Debug, Clone)]
enum Model {
    Always,
    Share(u32),
    Codes(Vec<i64>),
    Latency(u64, u64),
    Count(u32, u32),
    Text(Vec<&'static str>, bool),
    Number(i64, i64, bool),
    Boolean(bool, bool),
    All(Vec<Model>),
    Not(Box<Model>),
}

impl Model {
    /// As it is written.
    fn json(&self, name: &str) -> String {
        let (kind, block) = match self {
            Self::Always => return format!(r#"{{"name": "{name}", "type": "always_sample"}}"#),
            Self::Share(percent) => ("probabilistic", format!(r#"{{"sampling_percentage": {percent}}}"#)),
            Self::Codes(codes) => {
                let names: Vec<_> = codes.iter().map(|code| ["UNSET", "OK", "ERROR"][*code as usize]).collect();
                ("status_code", format!(r#"{{"status_codes": {names:?}}}"#))
            }
            Self::Latency(over, upto) => {
                ("latency", format!(r#"{{"threshold_ms": {over}, "upper_threshold_ms": {upto}}}"#))
            }
            Self::Count(least, most) => ("span_count", format!(r#"{{"min_spans": {least}, "max_spans": {most}}}"#)),
            Self::Text(values, inverted) => {
                ("string_attribute", format!(r#"{{"key": "{KEY}", "values": {values:?}, "invert_match": {inverted}}}"#))
            }
            Self::Number(least, most, inverted) => (
                "numeric_attribute",
                format!(r#"{{"key": "{KEY}", "min_value": {least}, "max_value": {most}, "invert_match": {inverted}}}"#),
            ),
            Self::Boolean(value, inverted) => {
                ("boolean_attribute", format!(r#"{{"key": "{KEY}", "value": {value}, "invert_match": {inverted}}}"#))
            }
            Self::All(models) => ("and", format!(r#"{{"and_sub_policy": [{}]}}"#, list(models, name))),
            Self::Not(model) => ("not", format!(r#"{{"not_sub_policy": {}}}"#, model.json(name))),
        };
        format!(r#"{{"name": "{name}", "type": "{kind}", "{kind}": {block}}}"#)
    }

    /// With which probability it keeps a trace.
    fn probability(&self, spans: &[Span]) -> f64 {
        let any = |test: &dyn Fn(&Value, bool) -> bool, inverted: bool| {
            let values = spans.iter().flat_map(|span| {
                let of_span = span.attributes.get(KEY).map(|value| test(value, false));
                let of_resource = span.resource.attributes.get(KEY).map(|value| test(value, true));
                [of_span, of_resource]
            });
            values.flatten().any(|holds| holds) != inverted
        };
        let yes = match self {
            Self::Always => true,
            Self::Share(percent) => return f64::from(*percent) / 100.0,
            Self::Codes(codes) => spans.iter().any(|span| codes.contains(&span.status.code)),
            Self::Latency(over, upto) => {
                let start = spans.iter().map(|span| span.start_time_unix_nano).min().unwrap_or(0);
                let end = spans.iter().map(|span| span.end_time_unix_nano).max().unwrap_or(0);
                let lasted = end.saturating_sub(start) / 1_000_000;
                lasted > *over && (*upto == 0 || lasted <= *upto)
            }
            Self::Count(least, most) => {
                let count = spans.len() as u32;
                count >= *least && (*most == 0 || count <= *most)
            }
            Self::Text(values, inverted) => {
                let matches =
                    |value: &Value, _| value.as_str().is_some_and(|text| !text.is_empty() && values.contains(&text));
                any(&matches, *inverted)
            }
            Self::Number(least, most, inverted) => {
                let within = |value: &Value, _| {
                    let number = if let Value::Integer(number) = value { *number } else { 0 };
                    (*least == 0 || number >= *least) && (*most == 0 || number <= *most)
                };
                any(&within, *inverted)
            }
            Self::Boolean(wanted, inverted) => {
                any(&|value: &Value, _| matches!(value, Value::Boolean(true)) == *wanted, *inverted)
            }
            Self::All(models) => return models.iter().map(|model| model.probability(spans)).fold(1.0, f64::min),
            Self::Not(model) => return 1.0 - model.probability(spans),
        };
        f64::from(u8::from(yes))
    }
}

fn list(models: &[Model], name: &str) -> String {
    models.iter().map(|model| model.json(name)).collect::<Vec<_>>().join(", ")
}

fn model() -> impl Strategy<Value = Model> {
    let texts = prop::collection::vec(prop::sample::select(vec!["a", "b", "", "5"]), 1..3);
    let bounds = (prop::sample::select(vec![-5i64, 0, 1, 5]), prop::sample::select(vec![0i64, 5, 50]));
    let leaf = prop_oneof![
        Just(Model::Always),
        (0u32..=100).prop_map(Model::Share),
        prop::collection::vec(0i64..3, 1..3).prop_map(Model::Codes),
        (0u64..20, prop::sample::select(vec![0u64, 20, 30])).prop_map(|(over, upto)| Model::Latency(over, upto)),
        (0u32..4, prop::sample::select(vec![0u32, 4])).prop_map(|(least, most)| Model::Count(least, most)),
        (texts, any::<bool>()).prop_map(|(values, inverted)| Model::Text(values, inverted)),
        (bounds, any::<bool>())
            .prop_filter("bounds that are none", |((least, most), _)| *least != 0 || *most != 0)
            .prop_map(|((least, most), inverted)| Model::Number(least, most, inverted)),
        (any::<bool>(), any::<bool>()).prop_map(|(value, inverted)| Model::Boolean(value, inverted)),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Model::All),
            inner.prop_map(|model| Model::Not(Box::new(model))),
        ]
    })
}

fn value() -> impl Strategy<Value = Option<Value>> {
    prop::sample::select(vec![
        None,
        None,
        Some("a".into()),
        Some("b".into()),
        Some("".into()),
        Some(Value::Integer(0)),
        Some(Value::Integer(5)),
        Some(Value::Integer(50)),
        Some(Value::Boolean(true)),
        Some(Value::Boolean(false)),
        Some(Value::Float(5.0)),
        Some(Value::Empty),
    ])
}

fn span() -> impl Strategy<Value = Span> {
    (value(), value(), 0i64..3, 0u64..40, 0u64..40).prop_map(|(of_span, of_resource, code, start, lasts)| {
        let mut span = Span::named("a").status(code, "");
        span.start_time_unix_nano = start * 1_000_000;
        span = span.lasting(lasts * 1_000_000);
        if let Some(value) = of_span {
            span = span.attribute(KEY, value);
        }
        if let Some(value) = of_resource {
            span = span.resource_attribute(KEY, value);
        }
        span
    })
}

proptest! {
    #[test]
    fn traces_are_kept_as_the_model_keeps_them(
        keeps in prop::collection::vec(model(), 1..4),
        drops in prop::collection::vec(prop::collection::vec(model(), 1..3), 0..2),
        traces in prop::collection::vec((prop::collection::vec(span(), 1..4), 0u32..100), 1..6),
    ) {
        let keep = keeps.iter().enumerate().map(|(index, model)| model.json(&format!("keep {index}")));
        let drop = drops.iter().enumerate().map(|(index, models)| {
            let subs = list(models, "sub");
            format!(r#"{{"name": "drop {index}", "type": "drop", "drop": {{"drop_sub_policy": [{subs}]}}}}"#)
        });
        let policies = keep.chain(drop).collect::<Vec<_>>().join(", ");
        // Between two whole percents, so that no rounding decides.
        let share = |percent: u32| f64::from(percent) / 100.0 + 0.005;
        let decided = with(&policies).decide(traces.iter().map(|(spans, at)| testing::trace(id(share(*at)), spans.clone())));
        for (index, (spans, at)) in traces.iter().enumerate() {
            let best = keeps.iter().map(|model| model.probability(spans)).fold(0.0, f64::max);
            let dropped = drops.iter().map(|models| models.iter().map(|model| model.probability(spans)).fold(1.0, f64::min));
            let probability = dropped.map(|dropped| 1.0 - dropped).fold(best, f64::min);
            let kept = share(*at) > 1.0 - probability;
            prop_assert_eq!(decided.is_kept(index), kept, "trace {} by {}", index, policies);
            if let Decision::Sample(said) = decided.decision(index) {
                prop_assert!((said - probability).abs() < 1e-9, "{} and not {} by {}", said, probability, policies);
            }
        }
    }
}
