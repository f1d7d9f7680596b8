//! What verbs do in `decide` against the contract, or beyond what they are given.

use crate::bindings::exports::tracemill::plugin::sampler::Decisions;
use crate::{calls, decisions, words};

pub fn act(verb: &str, traces: usize) -> Result<Decisions, String> {
    let all = |action, number| decisions(vec![(action, number, "why"); traces]);
    Ok(match verb {
        "traps" => panic!("it was told to"),
        "traps-at-the-third" if calls() < 3 => all(1, 0.0),
        "traps-at-the-third" => panic!("the third"),
        "spins" => loop {
            std::hint::black_box(());
        },
        "bombs" => {
            let mut taken = Vec::new();
            loop {
                taken.push(vec![1_u8; 1 << 20]);
                std::hint::black_box(&taken);
            }
        }
        "fails" => return Err("the table of rates is empty".to_owned()),
        "one-too-many" => decisions(vec![(1, 0.0, "why"); traces + 1]),
        "one-too-few" => decisions(vec![(1, 0.0, "why"); traces - 1]),
        "no-numbers" => Decisions { numbers: Vec::new(), ..all(1, 0.0) },
        "no-reasons" => Decisions { reasons: words([]), ..all(1, 0.0) },
        "words-that-lie" => {
            let mut lies = all(1, 0.0);
            lies.reasons.words.offsets.fill(u32::MAX);
            lies
        }
        "action-9" => all(9, 0.0),
        "nan" => all(4, f64::NAN),
        "more-than-certain" => all(5, 1.5),
        "wait-back" => all(3, -1.0),
        "wait-for-ever" => all(3, f64::INFINITY),
        "large-reason" => decisions(vec![(1, 0.0, "x".repeat(1 << 20)); traces]),
        "giant-reason" => decisions([(1, 0.0, "x".repeat(17 << 20))]),
        "millions" => Decisions { actions: vec![1; 5 << 20], ..all(1, 0.0) },
        other => return Err(format!("`{other}` is no verb")),
    })
}
