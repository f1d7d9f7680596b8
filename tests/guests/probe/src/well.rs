//! Verbs that keep to the contract.

use crate::bindings::exports::tracemill::plugin::processor::{Column, Edit};
use crate::bindings::tracemill::plugin::types::{
    Cells, CopyPath, DropRows, Entries, Layout, Mode, MovePath, RemoveEntries, RemovePath, RewriteEntries, Rows,
    SampleRows, Sampling, SetPath, SpanEvent, Texts, Value, Values, WeighRows, Words,
};
use crate::bindings::tracemill::plugin::{host, state};

/// What the verb answers; `None` where it is not one of these.
pub fn act(verb: &str, rows: u32, columns: &[Column]) -> Option<Result<Vec<Edit>, String>> {
    Some(match verb {
        "nothing" | "whole-plan" | "fickle" => Ok(Vec::new()),
        "drop-word" => drop_word(columns),
        "upper" => Ok(vec![upper(&columns[0])]),
        "echo" => Ok(columns.iter().map(|column| set("probe", Values::Each(copy(&column.cells)))).collect()),
        "every-edit" => Ok(every_edit()),
        "counts" => counts(rows),
        "keeps" => keeps(),
        "now" => Ok(vec![set("probe", Values::Same(Value::Integer(host::now().cast_signed())))]),
        "finds" | "finds-unplanned" => finds(columns),
        "finds-twice" => finds_twice(),
        "says" => Ok(says()),
        #[cfg(target_os = "wasi")]
        "reaches-out" => Ok(vec![set("probe", Values::Same(Value::Text(reaches_out())))]),
        _ => return None,
    })
}

pub fn set(key: &str, to: Values) -> Edit {
    Edit::Set(SetPath { path: format!("attributes[\"{key}\"]"), at: Rows::Every, to, mode: Mode::Upsert })
}

fn drop_word(columns: &[Column]) -> Result<Vec<Edit>, String> {
    let Cells::Words(Words { codes, words }) = &columns[0].cells else { return Err("no words".to_owned()) };
    let dropped: Vec<bool> =
        words.offsets.windows(2).map(|at| &words.data[at[0] as usize..at[1] as usize] == b"/health").collect();
    let mut any = false;
    let marks = codes
        .iter()
        .map(|code| {
            let hit = dropped[*code as usize];
            any |= hit;
            u8::from(hit)
        })
        .collect();
    Ok(if any {
        vec![Edit::Drop(DropRows { at: Rows::Marked(marks), reason: "health".to_owned() })]
    } else {
        Vec::new()
    })
}

fn upper(column: &Column) -> Edit {
    let Cells::Text(texts) = &column.cells else { unreachable!("the plan wants text") };
    let to = Texts { offsets: texts.offsets.clone(), data: texts.data.to_ascii_uppercase() };
    Edit::Set(SetPath {
        path: "name".to_owned(),
        at: Rows::Every,
        to: Values::Each(Cells::Text(to)),
        mode: Mode::Update,
    })
}

fn copy(cells: &Cells) -> Cells {
    let texts = |of: &Texts| Texts { offsets: of.offsets.clone(), data: of.data.clone() };
    let words = |of: &Words| Words { codes: of.codes.clone(), words: texts(&of.words) };
    match cells {
        Cells::Text(of) => Cells::Text(texts(of)),
        Cells::Words(of) => Cells::Words(words(of)),
        Cells::Integers(of) => Cells::Integers(of.clone()),
        Cells::Floats(of) => Cells::Floats(of.clone()),
        Cells::Booleans(of) => Cells::Booleans(of.clone()),
        Cells::Ids(of) => Cells::Ids(of.clone()),
        Cells::Bytes(of) => Cells::Bytes(texts(of)),
        Cells::Entries(of) => Cells::Entries(Entries {
            rows: of.rows.clone(),
            places: words(&of.places),
            values: texts(&of.values),
            kinds: of.kinds.clone(),
            numbers: of.numbers.clone(),
        }),
    }
}

fn every_edit() -> Vec<Edit> {
    let path = |key: &str| format!("attributes[\"{key}\"]");
    vec![
        Edit::Drop(DropRows { at: Rows::These(vec![1]), reason: "why".to_owned() }),
        Edit::Sample(SampleRows {
            at: Rows::Every,
            probability: 0.25,
            how: Sampling::Proportional,
            reason: "thinned".to_owned(),
        }),
        Edit::Weigh(WeighRows { at: Rows::Marked(vec![0, 1]), probability: Some(0.5) }),
        set("set", Values::Same(Value::Bytes(vec![1, 2]))),
        Edit::Copy(CopyPath { path: path("a"), to: path("b"), at: Rows::Every, mode: Mode::Insert }),
        Edit::Move(MovePath { path: path("c"), to: path("d"), at: Rows::Every, mode: Mode::Update }),
        Edit::Remove(RemovePath { path: path("e"), at: Rows::Every }),
        Edit::Rewrite(RewriteEntries {
            column: 0,
            entries: vec![2],
            to: Texts { offsets: vec![0, 1], data: vec![b'x'] },
        }),
        Edit::RemoveEntries(RemoveEntries { column: 0, entries: vec![3] }),
        Edit::Event(SpanEvent {
            row: 0,
            time: 7,
            name: "event".to_owned(),
            attributes: vec![("k".to_owned(), Value::Boolean(true)), ("f".to_owned(), Value::Float(1.5))],
        }),
    ]
}

/// Logs, counts and adds; with more than 100 rows it traps after that.
fn counts(rows: u32) -> Result<Vec<Edit>, String> {
    host::log(host::Level::Warn, &format!("{rows} rows"));
    host::count("rows", u64::from(rows));
    let sum = state::add("rows", i64::from(rows))?;
    let tokens = state::take("bucket", 1, u64::from(rows), 0.0, 50);
    assert!(rows <= 100, "too many rows");
    Ok(vec![set("probe", Values::Same(Value::Text(format!("{sum} rows, {tokens} tokens"))))])
}

fn keeps() -> Result<Vec<Edit>, String> {
    let before = state::get("k").map(|entry| entry.value.len());
    state::put("k", b"one")?;
    let version = state::get("k").ok_or("it was put")?.version;
    let stale = state::replace("k", version + 1, b"two")?;
    let fresh = state::replace("k", version, b"three")?;
    let said = format!("{before:?} {stale} {fresh}");
    Ok(vec![set("probe", Values::Same(Value::Text(said)))])
}

/// The table's teams, tiers and flags for the words of the first column, or for two keys without one; set as they come.
fn finds(columns: &[Column]) -> Result<Vec<Edit>, String> {
    let keys = match columns.first().map(|column| &column.cells) {
        Some(Cells::Words(words)) => Texts { offsets: words.words.offsets.clone(), data: words.words.data.clone() },
        _ => Texts { offsets: vec![0, 4, 7], data: b"cartxyz".to_vec() },
    };
    let field = |name: &str, layout| host::Field { name: name.to_owned(), layout };
    let fields = [field("team", Layout::Words), field("tier", Layout::Integers), field("tier", Layout::Text)];
    let found = host::find("teams", &fields, &keys)?;
    let mut said = found.iter().map(|column| format!("{:?}", column.present)).collect::<Vec<_>>().join(" ");
    if let (Cells::Words(words), Cells::Integers(tiers)) = (&found[0].cells, &found[1].cells) {
        let word = |code: u32| {
            let (from, to) = (words.words.offsets[code as usize], words.words.offsets[code as usize + 1]);
            String::from_utf8_lossy(&words.words.data[from as usize..to as usize]).into_owned()
        };
        let teams: Vec<String> = words.codes.iter().map(|code| word(*code)).collect();
        said = format!("{} {tiers:?} {said}", teams.join(","));
    }
    Ok(vec![set("probe", Values::Same(Value::Text(said)))])
}

/// How many keys the table has at the beginning of a call, and after a while.
fn finds_twice() -> Result<Vec<Edit>, String> {
    let field = host::Field { name: "team".to_owned(), layout: Layout::Text };
    let keys = Texts { offsets: vec![0, 4], data: b"cart".to_vec() };
    let mut said = Vec::new();
    for _ in 0..2 {
        let found = host::find("teams", std::slice::from_ref(&field), &keys)?;
        let Cells::Text(texts) = &found[0].cells else { return Err("no text".to_owned()) };
        said.push(String::from_utf8_lossy(&texts.data).into_owned());
    }
    Ok(vec![set("probe", Values::Same(Value::Text(said.join(" "))))])
}

fn says() -> Vec<Edit> {
    for (level, name) in [
        (host::Level::Debug, "debug"),
        (host::Level::Info, "info"),
        (host::Level::Warn, "warn"),
        (host::Level::Error, "error"),
    ] {
        host::log(level, &format!("a line of {name}"));
    }
    println!("printed");
    Vec::new()
}

/// Whatever it can reach of the machine, which should be nothing.
#[cfg(target_os = "wasi")]
fn reaches_out() -> String {
    use std::time::{Duration, Instant};
    let mut line = String::new();
    let before = Instant::now();
    std::thread::sleep(Duration::from_secs(3600));
    format!(
        "{} args, {} variables, file {}, stdin {:?}, tcp {}, udp {}, slept an hour {}",
        std::env::args().count(),
        std::env::vars().count(),
        std::fs::read("/etc/passwd").is_ok(),
        std::io::stdin().read_line(&mut line).ok(),
        std::net::TcpStream::connect("127.0.0.1:1").is_ok(),
        std::net::UdpSocket::bind("127.0.0.1:0").is_ok(),
        before.elapsed() > Duration::from_secs(3600),
    )
}
