//! Verbs that break the contract, or try to take more than they are given.

use std::hint::black_box;

use crate::bindings::exports::tracemill::plugin::processor::Edit;
use crate::bindings::tracemill::plugin::types::{Cells, DropRows, Mode, Rows, SetPath, Texts, Value, Values};
use crate::bindings::tracemill::plugin::{host, state};
use crate::well::set;

/// What the host alone may say.
const FORGED: &str = "2026-01-01T00:00:00Z  INFO plugin is live plugin=\"other\"";

#[expect(clippy::too_many_lines, reason = "a list of deeds")]
pub fn act(verb: &str, rows: u32) -> Result<Vec<Edit>, String> {
    match verb {
        "traps" => panic!("a bug of the plugin's"),
        "traps-at-the-third" if crate::calls() < 3 => Ok(Vec::new()),
        "traps-at-the-third" => Ok(explode(rows)),
        "fails" => Err("the table of teams is empty".to_owned()),
        "spins" => loop {
            black_box(());
        },
        "bombs" => {
            let mut taken = Vec::new();
            loop {
                taken.push(vec![1_u8; 1 << 20]);
                black_box(&taken);
            }
        }
        "swells" => {
            let kept = vec![1_u8; 55 << 20];
            black_box(&kept);
            Ok(Vec::new())
        }
        "recurses" => Ok(if deeper(rows) == 0 { Vec::new() } else { vec![] }),
        "many-edits" => Ok((0..40_000).map(|_| drop(Rows::Every, "x")).collect()),
        "too-many-edits" => Ok((0..200_000).map(|_| drop(Rows::Every, "x")).collect()),
        "giant-reason" => Ok(vec![drop(Rows::Every, &"x".repeat(20 << 20))]),
        "giant-list" => Ok(vec![Edit::Drop(DropRows { at: Rows::These(vec![7; 6 << 20]), reason: String::new() })]),
        "far-rows" => Ok(vec![drop(Rows::These(vec![rows + 5]), "x")]),
        "wrong-type" => {
            let to = Texts { offsets: vec![9, 3, 1], data: vec![1] };
            Ok(vec![set("probe", Values::Each(Cells::Text(to)))])
        }
        "no-path" => Ok(vec![
            drop(Rows::These(vec![]), "x"),
            Edit::Set(SetPath {
                path: "atributes[\"a\"]".to_owned(),
                at: Rows::Every,
                to: Values::Same(Value::Boolean(true)),
                mode: Mode::Upsert,
            }),
        ]),
        "wild" => Ok(crate::wild::answer(rows)),
        "no-utf8" => Ok(vec![drop(Rows::Every, &no_text())]),
        "finds-badly" => {
            let keys = Texts { offsets: vec![9, 3, 1], data: vec![1] };
            host::find("teams", &[], &keys).map(|_| Vec::new())
        }
        "finds-too-much" => {
            let keys = Texts { offsets: vec![0; 6 << 20], data: Vec::new() };
            host::find("teams", &[], &keys).map(|_| Vec::new())
        }
        "log-flood" => {
            for i in 0..100_000 {
                host::log(host::Level::Info, &format!("line {i} {}", "x".repeat(200)));
            }
            Ok(Vec::new())
        }
        "log-giant" => {
            host::log(host::Level::Error, &"x".repeat(10 << 20));
            Ok(Vec::new())
        }
        "forges" => Err(format!("no\n{FORGED}")),
        "mumbles" => {
            host::log(host::Level::Warn, &format!("done\n{FORGED}\u{1b}[2J"));
            Ok(Vec::new())
        }
        "name-flood" => {
            for i in 0..10_000 {
                host::count(&format!("name-{i}"), 1);
            }
            Ok(Vec::new())
        }
        "state-flood" => {
            let mut kept = 0_u32;
            for i in 0..2000 {
                match state::put(&format!("key-{i}"), &vec![7; 50_000]) {
                    Ok(()) => kept += 1,
                    Err(why) => {
                        return Ok(vec![set("probe", Values::Same(Value::Text(format!("{kept} kept; {why}"))))]);
                    }
                }
            }
            Ok(Vec::new())
        }
        "bad-rate" => {
            state::take("bucket", 1, 1, f64::NAN, 1);
            Ok(Vec::new())
        }
        "dies-with-words" => {
            host::log(host::Level::Error, "the pattern of rule 3 does not hold");
            panic!("no more words")
        }
        #[cfg(target_os = "wasi")]
        "exits" => std::process::exit(3),
        #[cfg(target_os = "wasi")]
        "print-flood" => {
            for _ in 0..100_000 {
                println!("{}", "y".repeat(100));
            }
            Ok(Vec::new())
        }
        other => Err(format!("no such verb: {other}")),
    }
}

#[expect(unsafe_code, reason = "what a guest in another language could do, this one has to do on purpose")]
fn no_text() -> String {
    // SAFETY: there is none to promise, which is the point: the host must not trust that what a guest calls a string is one.
    // Nothing in this guest looks at it.
    unsafe { String::from_utf8_unchecked(black_box(vec![0xff, 0xfe])) }
}

#[inline(never)]
fn explode(rows: u32) -> Vec<Edit> {
    let zero = black_box(rows) - rows;
    vec![drop(Rows::These(vec![black_box(1_u32).checked_div(zero).expect("no number")]), "")]
}

#[inline(never)]
fn deeper(rows: u32) -> u32 {
    let ballast = black_box([rows; 64]);
    if ballast[3] == u32::MAX { 0 } else { deeper(rows) + black_box(ballast)[7] }
}

fn drop(at: Rows, reason: &str) -> Edit {
    Edit::Drop(DropRows { at, reason: reason.to_owned() })
}
