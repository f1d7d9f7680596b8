//! Questions well and badly put, against a table that is a plain map; and answers compared with what the contract's words say of such a
//! map, for any keys, values and layouts.

use std::collections::BTreeMap;

use otlp::columns::Cells;
use proptest::prelude::*;

use super::*;
use crate::metrics::Metrics;
use crate::tables::{Rows, Table, Tables};

#[derive(Debug, Clone, PartialEq)]
enum Plain {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Bytes(Vec<u8>),
    Other,
}

type Fields = BTreeMap<String, Plain>;

/// The oracle, and the simplest table there is.
#[derive(Debug, Clone, Default)]
struct Map(BTreeMap<Vec<u8>, Fields>);

struct Found<'t>(&'t Map, Vec<Option<&'t Fields>>);

impl Table for Map {
    fn find<'t>(&'t self, keys: &mut dyn Iterator<Item = &[u8]>) -> Box<dyn Rows + 't> {
        Box::new(Found(self, keys.map(|key| self.0.get(key)).collect()))
    }
}

impl Rows for Found<'_> {
    fn found(&self) -> u64 {
        self.1.iter().flatten().count() as u64
    }

    fn values<'r>(&'r self, field: &str, _: Layout) -> Option<Box<dyn Iterator<Item = Option<Value<'r>>> + 'r>> {
        let field = self.0.0.values().flat_map(Fields::keys).find(|known| *known == field)?;
        Some(Box::new(self.1.iter().map(move |row| {
            row.and_then(|fields| fields.get(field)).map(|plain| match plain {
                Plain::Text(text) => Value::Text(text.as_bytes()),
                Plain::Integer(number) => Value::Integer(*number),
                Plain::Float(number) => Value::Float(*number),
                Plain::Boolean(boolean) => Value::Boolean(*boolean),
                Plain::Bytes(bytes) => Value::Bytes(bytes),
                Plain::Other => Value::Empty,
            })
        })))
    }
}

fn finder(sets: &Tables, most: usize) -> Finder {
    Finder::new(Access { tables: sets.clone(), granted: None }, Metrics::default().sink("p"), most)
}

fn ready(map: Map) -> Tables {
    let tables = Tables::default();
    tables.publish(Set::from_iter([(Arc::from("teams"), Entry::Ready(Arc::new(map)))]));
    tables
}

fn teams() -> Map {
    let row = |team: &str| Fields::from([("team".to_owned(), Plain::Text(team.to_owned()))]);
    Map(BTreeMap::from([(b"cart".to_vec(), row("shop")), (b"checkout".to_vec(), row("money"))]))
}

fn keys(of: &[&str]) -> Texts {
    let mut texts = Texts::default();
    for key in of {
        texts.push(key.as_bytes());
    }
    texts
}

fn field(name: &str, layout: Layout) -> Field {
    Field { name: name.to_owned(), layout }
}

fn team() -> [Field; 1] {
    [field("team", Layout::Words)]
}

#[test]
fn rows_come_in_the_order_of_the_keys_and_those_without_have_the_empty_word() {
    let found = finder(&ready(teams()), 1000).find("teams", &team(), &keys(&["checkout", "x", "cart", "checkout"]));
    let Ok([Column { present, cells: Cells::Words(words) }]) = found.as_deref() else { panic!("{found:?}") };
    assert_eq!(present, &[1, 0, 1, 1]);
    let word = |row: usize| words.words.get(words.codes[row] as usize).unwrap_or_default();
    assert_eq!([word(0), word(1), word(2), word(3)], [&b"money"[..], b"", b"shop", b"money"]);
    assert_eq!((words.codes[1], words.words.get(0)), (0, Some(&b""[..])), "as the contract has it");
}

#[test]
fn nothing_asked_is_nothing_answered() {
    let mut finder = finder(&ready(teams()), 1000);
    assert_eq!(finder.find("teams", &[], &keys(&[])), Ok(Vec::new()));
    let empty = finder.find("teams", &team(), &keys(&[])).expect("no rows");
    assert!(empty[0].present.is_empty());
}

#[test]
fn what_is_wrong_with_a_question_is_said() {
    let tables = Tables::default();
    let broken = Entry::Broken("it is empty".into());
    let good: Entry = Entry::Ready(Arc::new(teams()));
    tables.publish(Set::from_iter([(Arc::from("teams"), good), (Arc::from("owners"), broken)]));
    let mut finder = Finder::new(
        Access { tables, granted: Some(Arc::from(["teams".to_owned(), "owners".to_owned(), "gone".to_owned()])) },
        Metrics::default().sink("p"),
        1000,
    );
    let mut said = |table: &str, fields: &[Field], keys: &Texts| {
        finder.find(table, fields, keys).expect_err("a wrong question").to_string()
    };
    let cart = keys(&["cart"]);
    assert_eq!(said("gone", &team(), &cart), "no lookup table named `gone` is configured");
    assert_eq!(
        said("secrets", &team(), &cart),
        "the lookup table `secrets` is not granted to this plugin: add it to `grants.tables` in its sidecar"
    );
    assert_eq!(said("owners", &team(), &cart), "the lookup table `owners` could not be read: it is empty");
    assert_eq!(said("teams", &[field("taem", Layout::Text)], &cart), "the lookup table `teams` has no field `taem`");
    for layout in [Layout::Ids, Layout::Entries] {
        let said = said("teams", &[field("team", layout)], &cart);
        assert!(said.starts_with(&format!("the field `team` is asked for as `{layout}`")), "{said}");
    }
    let texts = |offsets: &[u32]| Texts { offsets: offsets.to_vec(), data: b"cart".to_vec() };
    assert!(said("teams", &team(), &texts(&[])).contains("one more than keys"));
    assert!(said("teams", &team(), &texts(&[0, 5])).starts_with("key 0 does not lie"));
    assert!(said("teams", &team(), &texts(&[0, 4, 2])).starts_with("key 1 does not lie"));
    assert!(said("teams", &team(), &texts(&[u32::MAX, u32::MAX])).starts_with("key 0"));
    let many = Texts { offsets: vec![0; CELLS / 2 + 2], data: Vec::new() };
    let two = [field("team", Layout::Text), field("team", Layout::Words)];
    assert_eq!(
        said("teams", &two, &many),
        "32769 keys and 2 fields are asked for at once; keys times fields must not be above 65536"
    );
    assert!(said("teams", &vec![field("team", Layout::Text); CELLS + 1], &keys(&[])).contains("0 keys"));
    let long = "x".repeat(5000);
    assert!(said(&long, &team(), &cart).len() < 300, "a message repeats not all of it");
}

#[test]
fn an_answer_has_no_more_bytes_than_the_bound() {
    let big = Fields::from([("team".to_owned(), Plain::Text("x".repeat(400)))]);
    let tables = ready(Map(BTreeMap::from([(b"cart".to_vec(), big)])));
    let fields = [field("team", Layout::Text)];
    let mut finder = finder(&tables, 1000);
    assert!(finder.find("teams", &fields, &keys(&["cart", "cart"])).is_ok());
    assert_eq!(finder.find("teams", &fields, &keys(&["cart"; 3])), Err(FindError::TooLarge(1000)));
    assert!(finder.find("teams", &fields, &keys(&["cart"])).is_ok(), "the next one has all of it");
}

#[test]
fn a_call_sees_one_version_from_its_first_find_to_its_end() {
    let tables = ready(teams());
    let mut finder = finder(&tables, 1000);
    let is_there = |finder: &mut Finder| finder.find("teams", &team(), &keys(&["cart"])).is_ok();
    tables.publish(Set::default());
    assert!(!is_there(&mut finder), "the call has not asked before");
    finder.renew();
    tables.publish(ready(teams()).current().as_ref().clone());
    assert!(is_there(&mut finder));
    let kept = Arc::downgrade(&tables.current());
    tables.publish(Set::default());
    assert!(is_there(&mut finder), "it has asked");
    assert!(kept.upgrade().is_some());
    finder.renew();
    assert!(kept.upgrade().is_none(), "nobody keeps it longer");
    assert!(!is_there(&mut finder));
}

#[test]
fn what_is_asked_and_found_is_counted() {
    let mut registry = prometheus_client::registry::Registry::default();
    let metrics = Metrics::register(&mut registry);
    let access = Access { tables: ready(teams()), granted: None };
    let mut finder = Finder::new(access, metrics.sink("enrich"), 1000);
    for _ in 0..2 {
        finder.find("teams", &team(), &keys(&["cart", "x", "y"])).expect("columns");
    }
    finder.find("gone", &team(), &keys(&["cart"])).expect_err("no table");
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
    let asked = "tracemill_table_asked_keys_total{plugin=\"enrich\",table=\"teams\"} 6\n";
    let found = "tracemill_table_found_keys_total{plugin=\"enrich\",table=\"teams\"} 2\n";
    assert!(text.contains(asked) && text.contains(found) && !text.contains("gone"), "{text}");
}

const LAYOUTS: [Layout; 6] =
    [Layout::Text, Layout::Words, Layout::Integers, Layout::Floats, Layout::Booleans, Layout::Bytes];

/// What is at a row of a column, in the words of the contract.
fn cell(column: &Column, row: usize) -> (u8, Plain) {
    let present = column.present.get(row).copied().unwrap_or(1);
    let text = |texts: &Texts, at: usize| {
        Plain::Text(String::from_utf8(texts.get(at).expect("an offset").to_vec()).expect("it was UTF-8"))
    };
    let plain = match &column.cells {
        Cells::Text(texts) => text(texts, row),
        Cells::Words(words) => text(&words.words, words.codes[row] as usize),
        Cells::Integers(numbers) => Plain::Integer(numbers[row]),
        Cells::Floats(numbers) => Plain::Float(numbers[row]),
        Cells::Booleans(booleans) => Plain::Boolean(booleans[row] != 0),
        Cells::Bytes(texts) => Plain::Bytes(texts.get(row).expect("an offset").to_vec()),
        other => panic!("nobody asked for {other:?}"),
    };
    (present, plain)
}

/// What the contract wants there.
fn expected(value: Option<&Plain>, layout: Layout) -> (u8, Plain) {
    let (empty, fits) = match (layout, value) {
        (Layout::Text | Layout::Words, value) => {
            (Plain::Text(String::new()), value.filter(|value| matches!(value, Plain::Text(_))))
        }
        (Layout::Integers, value) => (Plain::Integer(0), value.filter(|value| matches!(value, Plain::Integer(_)))),
        (Layout::Floats, value) => (Plain::Float(0.0), value.filter(|value| matches!(value, Plain::Float(_)))),
        (Layout::Booleans, value) => (Plain::Boolean(false), value.filter(|value| matches!(value, Plain::Boolean(_)))),
        (_, value) => (Plain::Bytes(Vec::new()), value.filter(|value| matches!(value, Plain::Bytes(_)))),
    };
    match (value, fits) {
        (_, Some(value)) => (1, value.clone()),
        (None, None) => (0, empty),
        (Some(_), None) => (2, empty),
    }
}

fn plain() -> impl Strategy<Value = Plain> {
    prop_oneof![
        4 => "[a-c]{0,3}".prop_map(Plain::Text),
        1 => any::<i64>().prop_map(Plain::Integer),
        1 => (-1e9..1e9).prop_map(Plain::Float),
        1 => any::<bool>().prop_map(Plain::Boolean),
        1 => proptest::collection::vec(any::<u8>(), 0..4).prop_map(Plain::Bytes),
        1 => Just(Plain::Other),
    ]
}

proptest! {
    #[test]
    fn any_answer_is_what_a_plain_map_has(
        map in proptest::collection::btree_map("[a-e]{1,2}", proptest::collection::btree_map("[xyz]", plain(), 0..3), 0..12),
        asked in proptest::collection::vec("[a-f]{0,2}", 0..30),
        fields in proptest::collection::vec(("[xyz]", 0..LAYOUTS.len()), 0..5),
    ) {
        let map = Map(map.into_iter().map(|(key, fields)| (key.into_bytes(), fields)).collect());
        let names: Vec<&String> = map.0.values().flat_map(Fields::keys).collect();
        let fields: Vec<Field> =
            fields.iter().map(|(name, layout)| field(name, LAYOUTS[*layout])).collect();
        let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
        let answer = finder(&ready(map.clone()), 1 << 20).find("teams", &fields, &keys(&asked));
        if let Some(unknown) = fields.iter().find(|field| !names.contains(&&field.name)) {
            let error = FindError::NoField { table: "teams".to_owned(), field: unknown.name.clone() };
            prop_assert_eq!(answer, Err(error));
            return Ok(());
        }
        let columns = answer.expect("a good question");
        prop_assert_eq!(columns.len(), fields.len());
        for (column, Field { name, layout }) in columns.iter().zip(&fields) {
            prop_assert!(column.present.is_empty() || column.present.len() == asked.len());
            if let Cells::Words(words) = &column.cells {
                prop_assert_eq!(words.codes.len(), asked.len());
                prop_assert!(column.present.is_empty() || words.words.get(0) == Some(b""));
            }
            for (row, key) in asked.iter().enumerate() {
                let value = map.0.get(key.as_bytes()).and_then(|fields| fields.get(name));
                prop_assert_eq!(cell(column, row), expected(value, *layout));
            }
        }
    }
}
