//! Every edit and every layout, through a plugin and the native harness.

use tracemill_sdk::bindings::types::{self, Rows};
use tracemill_sdk::layout::EntryValue;
use tracemill_sdk::layout::Presence::{Absent, OtherType};
use tracemill_sdk::prelude::*;

/// A plugin made of two functions, so that each test shows its own.
macro_rules! plugin {
    ($name:ident { $($field:ident: $type:ty),* }, |$plan:ident| $declare:expr, |$this:ident, $batch:ident, $edits:ident| $act:expr) => {
        struct $name { $($field: $type),* }
        impl Plugin for $name {
            type Settings = NoSettings;
            fn configure(_: NoSettings, $plan: &mut PlanBuilder) -> Result<Self, Refusal> {
                let ($($field,)*) = $declare;
                Ok(Self { $($field),* })
            }
            fn process(&mut self, $batch: &Batch<'_>, $edits: &mut Edits<'_>) -> Result<(), Refusal> {
                let $this = self;
                $act;
                Ok(())
            }
        }
    };
}

fn users() -> Span {
    Span::named("GET /users").attribute("http.route", "/users").service("front")
}

#[test]
fn set_copy_rename_and_remove_follow_their_modes() {
    plugin!(
        All { region: Target, old: Target, new: Target, from: Source, gone: Target },
        |plan| (
            plan.writes(resource_attribute("region")),
            plan.writes(attribute("http.method")),
            plan.writes(attribute("http.request.method")),
            plan.reads(resource_attribute("service.name")),
            plan.writes(attribute("secret")),
        ),
        |this, _batch, edits| {
            edits.set_as(this.region, Rows::Every, "eu", Mode::Insert);
            edits.rename(this.old, this.new, Rows::Every, Mode::Insert);
            edits.copy(this.from, this.gone, Rows::Every, Mode::Update);
            edits.remove(this.gone, 1);
        }
    );
    let run = testing::plugin::<All>("{}").run([
        users().attribute("http.method", "GET").attribute("secret", 7i64),
        users().attribute("http.method", "GET").attribute("http.request.method", "PUT").attribute("secret", "x"),
        Span::named("a").resource_attribute("region", "us"),
    ]);
    let first = run.span(0).expect("kept");
    assert_eq!(first.resource_text_of("region"), Some("eu"));
    assert_eq!((first.text_of("http.request.method"), first.text_of("http.method")), (Some("GET"), None));
    assert_eq!(first.text_of("secret"), Some("front"), "copies take the place of any type");
    let second = run.span(1).expect("kept");
    assert_eq!((second.text_of("http.request.method"), second.text_of("http.method")), (Some("PUT"), Some("GET")));
    assert_eq!(second.text_of("secret"), None);
    assert!(run.is_untouched(2));
}

#[test]
fn values_for_each_row_stand_in_order() {
    plugin!(
        Each { name: Column<Text>, size: Target },
        |plan| (plan.text("name"), plan.writes(attribute("size"))),
        |this, batch, edits| {
            let sizes: Vec<i64> = batch.read(this.name).texts().iter().map(|name| name.as_bytes().len() as i64).collect();
            edits.set_each(this.size, Rows::Every, sizes, Mode::Upsert);
        }
    );
    let run = testing::plugin::<Each>("{}").run([Span::named("a"), Span::named("bcd")]);
    let sizes: Vec<_> = run.spans().map(|span| span.attributes.get("size").cloned()).collect();
    assert_eq!(sizes, [Some(1i64.into()), Some(3i64.into())]);
}

#[test]
fn layouts_show_present_absent_and_other_types() {
    plugin!(
        Layouts {
            route: Column<Words>, size: Column<Integers>, share: Column<Floats>, ok: Column<Booleans>,
            raw: Column<Bytes>, trace: Column<Ids>, parent: Column<Text>, said: Target
        },
        |plan| (
            plan.words(attribute("http.route")),
            plan.integers(attribute("size")),
            plan.floats(attribute("share")),
            plan.booleans(attribute("ok")),
            plan.bytes(attribute("raw")),
            plan.ids("trace_id"),
            plan.text("parent_span_id"),
            plan.writes("status.message"),
        ),
        |this, batch, edits| {
            for row in batch {
                let seen = format!(
                    "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
                    row.get(this.route),
                    row.get(this.size),
                    row.get(this.share),
                    row.get(this.ok),
                    row.get(this.raw).map(Str::as_bytes),
                    row.get(this.trace).map(|id| id[15]),
                    row.get(this.parent),
                );
                edits.row(row.number()).set(this.said, seen);
            }
        }
    );
    let full = Span::from_json(
        r#"{"trace_id": "0000000000000000000000000000000a", "parent_span_id": "00000000000000ff",
            "attributes": {"http.route": "", "size": -1, "share": 0.5, "ok": true, "raw": {"$bytes": "01ff"}}}"#,
    );
    let other =
        Span::from_json(r#"{"attributes": {"http.route": 1, "size": "1", "share": 1, "ok": "true", "raw": "x"}}"#);
    let run = testing::plugin::<Layouts>("{}").run([full, other]);
    let said: Vec<_> = run.spans().map(|span| span.status.message.as_str()).collect();
    assert_eq!(said[0], r#"Some("") Some(-1) Some(0.5) Some(true) Some([1, 255]) Some(10) Some("00000000000000ff")"#);
    assert_eq!(said[1], "None None None None None None None");
}

#[test]
fn entries_are_rewritten_and_removed_where_they_stand() {
    plugin!(
        Redact { strings: Column<Entries> },
        |plan| {
            plan.writes("strings");
            (plan.entries("strings"),)
        },
        |this, batch, edits| {
            let mut rewrites = Rewrites::default();
            let mut gone = Vec::new();
            for entry in &batch.read(this.strings) {
                match entry.text() {
                    Some(text) if text.starts_with("secret") => rewrites.push(entry.number(), format!("<{}>", entry.place())),
                    Some(text) if text == "gone" => gone.push(entry.number()),
                    _ => {}
                }
            }
            edits.rewrite(this.strings, rewrites);
            edits.remove_entries(this.strings, gone);
        }
    );
    let before = r#"{"name": "secret name", "status": {"code": 2, "message": "gone"},
        "attributes": {"list": ["secret a", "gone", "b"], "map": {"deep": {"er": "secret"}, "x": "gone"}, "n": 1},
        "events": [{"name": "gone"}, {"name": "e", "attributes": {"m": "secret"}}],
        "resource": {"attributes": {"host": "secret host"}}, "scope": {"name": "secret scope"}}"#;
    let after = r#"{"name": "<name>", "status": {"code": 2, "message": ""},
        "attributes": {"list": ["<attributes[\"list\"]>", "b"],
            "map": {"deep": {"er": "<attributes[\"map\"][\"deep\"][\"er\"]>"}}, "n": 1},
        "events": [{"name": "e", "attributes": {"m": "<events.attributes[\"m\"]>"}}],
        "resource": {"attributes": {"host": "<resource.attributes[\"host\"]>"}}, "scope": {"name": "<scope.name>"}}"#;
    let run = testing::plugin::<Redact>("{}").run([Span::from_json(before), Span::from_json(before)]);
    assert_eq!(run.span(0), Some(&Span::from_json(after)));
    assert_eq!(run.span(1), Some(&Span::from_json(after)), "a shared resource is rewritten for all who share it");
}

#[test]
fn entries_tell_their_types_and_rows() {
    plugin!(
        Count { all: Column<Entries>, said: Target },
        |plan| (plan.entries("attributes"), plan.writes("status.message")),
        |this, batch, edits| {
            let entries = batch.read(this.all);
            for row in batch {
                let values: Vec<EntryValue<'_>> = entries.of_row(row.number()).map(|entry| entry.value()).collect();
                edits.row(row.number()).set(this.said, format!("{values:?}"));
            }
        }
    );
    let run = testing::plugin::<Count>("{}").run([
        Span::named("a").attribute("t", "x").attribute("i", -2i64),
        Span::named("b"),
        Span::named("c").attribute("f", 0.5).attribute("b", true),
    ]);
    let said: Vec<_> = run.spans().map(|span| span.status.message.as_str()).collect();
    assert_eq!(said, [r#"[Text("x"), Integer(-2)]"#, "[]", "[Float(0.5), Boolean(true)]"]);
}

#[test]
fn spans_are_dropped_sampled_and_given_events() {
    plugin!(
        Some_ { status: Column<Integers>, why: Reason, events: () },
        |plan| {
            plan.writes("events");
            (plan.integers("status.code"), plan.drops("sampled away"), ())
        },
        |this, batch, edits| {
            let () = this.events;
            let mut errors = Mask::none(batch.rows());
            batch.read(this.status).for_each_where(|code| code == 2, |row| errors.set(row));
            let mut others = Mask::all(batch.rows());
            others.subtract(&errors);
            for row in errors.iter() {
                edits.event(row, host::now(), "kept", vec![("why".to_owned(), "error".into())]);
            }
            edits.sample(errors, 1.0, Sampling::Equalizing, this.why);
            edits.sample(others, 0.5, Sampling::Equalizing, this.why);
            host::count("batches", 1);
            host::log(Level::Info, "done");
        }
    );
    let mut plugin = testing::plugin::<Some_>("{}");
    plugin.set_now(5);
    let low = "00000000000000000000000000000001";
    let high = "000000000000000000ffffffffffffff";
    let run = plugin.run([
        Span::named("a").trace(low),
        Span::named("b").trace(high),
        Span::named("c").trace(low).status(2, "broken"),
    ]);
    assert_eq!(run.dropped_because(0), Some("sampled away"));
    assert_eq!(run.span(1).map(|span| span.trace_state.as_str()), Some("ot=th:8"));
    let error = run.span(2).expect("errors are kept");
    assert_eq!((error.trace_state.as_str(), error.events[0].time_unix_nano), ("ot=th:0", 5));
    assert_eq!((run.dropped(), run.count("batches"), run.logs()), (1, 1, &[(Level::Info, "done".to_owned())][..]));
}

#[test]
fn only_spans_that_meet_the_conditions_are_shown() {
    plugin!(
        Conditional { why: Reason },
        |plan| {
            plan.when([when("kind").equals(2), when(attribute("http.route")).equals_any(["/a", "/b"])]);
            plan.when([when("duration").greater(100)]);
            plan.when([when("strings").matches("^x+$"), when("name").exists().negated()]);
            (plan.drops("seen"),)
        },
        |this, _batch, edits| edits.drop(Rows::Every, this.why)
    );
    let run = testing::plugin::<Conditional>("{}").run([
        Span::named("a").kind(2).attribute("http.route", "/b"),
        Span::named("b").kind(3).attribute("http.route", "/b"),
        Span::named("c").lasting(101),
        Span::named("").attribute("k", "xx"),
        Span::named("xx"),
    ]);
    let dropped: Vec<bool> = (0..run.len()).map(|index| run.dropped_because(index).is_some()).collect();
    assert_eq!(dropped, [true, false, true, true, false]);
    assert!(!run.was_shown(1));
}

#[test]
fn edits_that_the_contract_refuses_are_refused() {
    plugin!(
        Wrong { name: Target, strings: Column<Entries>, kind: Column<Integers>, why: Reason },
        |plan| (plan.writes("name"), plan.entries("strings"), plan.integers("kind"), plan.drops("why")),
        |this, batch, edits| {
            match batch.read(this.kind).get(0) {
                Some(1) => edits.set(this.name, Rows::Every, 1i64),
                Some(2) => edits.set(this.name, vec![0, 0], "twice"),
                Some(3) => edits.drop(7, this.why),
                Some(4) => edits.set_each(this.name, Rows::Every, types::Texts::default(), Mode::Upsert),
                Some(5) => edits.remove_entries(this.strings, [1]),
                Some(6) => return Err("refused by the plugin".into()),
                _ => edits.sample(Rows::Every, 2.0, Sampling::Equalizing, this.why),
            }
        }
    );
    let mut plugin = testing::plugin::<Wrong>("{}");
    let expected = [
        (1, "cannot be Integer(1)"),
        (2, "stands twice"),
        (3, "there is no row 7"),
        (4, "0 values for 1 rows"),
        (5, r#"does not write `attributes["a"]`"#),
        (6, "refused by the plugin"),
        (7, "not between 0 and 1"),
    ];
    for (kind, problem) in expected {
        let error = plugin.try_run([Span::named("x").kind(kind).attribute("a", "b")]).expect_err("refused");
        assert!(error.contains(problem), "{kind}: {error}");
    }
}

#[test]
fn plans_that_the_host_would_refuse_are_refused() {
    plugin!(Misspelt { name: Column<Words> }, |plan| (plan.words("nmae"),), |this, batch, _edits| {
        batch.read(this.name);
    });
    plugin!(Misfit { strings: Column<Words> }, |plan| (plan.words("strings"),), |this, batch, _edits| {
        batch.read(this.strings);
    });
    assert_eq!(testing::refusal::<Misspelt>("{}"), "`nmae` is no path");
    assert!(testing::refusal::<Misfit>("{}").contains("cannot have the layout"));
    assert!(testing::refusal::<Misfit>(r#"{"a": 1}"#).contains("settings.a: unknown field"));
}

#[test]
fn state_and_tables_answer_natively() {
    plugin!(
        Shared { service: Column<Words>, team: Target },
        |plan| (plan.words(resource_attribute("service.name")), plan.writes(resource_attribute("team"))),
        |this, batch, edits| {
            let mut table = Table::new("teams");
            let team = table.text("team");
            let found = table.find(batch.read(this.service).words())?;
            let teams = found.read(team);
            for row in batch {
                let code = batch.read(this.service).codes()[row.number() as usize];
                if let Some(team) = teams.get(code) {
                    edits.row(row.number()).set(this.team, team.to_str_lossy().into_owned());
                }
            }
            state::add("batches", 1)?;
            let version = state::get("last").map_or(0, |known| known.version);
            if !state::replace("last", version, b"now")? {
                return Err("somebody else was faster".into());
            }
            if state::take("tokens", 2, 5, 1.0, 6) == 0 {
                return Err("no tokens".into());
            }
        }
    );
    let mut plugin = testing::plugin::<Shared>("{}");
    plugin.set_table("teams", [("cart", vec![("team", "shop".into())])]);
    let run = plugin.run([Span::named("a").service("cart"), Span::named("b").service("other"), Span::named("c")]);
    let teams: Vec<_> = run.spans().map(|span| span.resource_text_of("team")).collect();
    assert_eq!(teams, [Some("shop"), None, None]);
    assert_eq!(plugin.state("last"), Some(b"now".to_vec()));
    assert!(plugin.try_run([Span::named("a")]).is_err_and(|error| error == "no tokens"));
    plugin.set_now(1_000_000_000);
    assert!(plugin.try_run([Span::named("a")]).is_ok());
}

#[test]
fn tables_answer_in_the_layout_that_is_asked_for_and_say_what_is_wrong() {
    plugin!(Asks { target: Target }, |plan| (plan.writes(attribute("asked")),), |this, _batch, edits| {
        let mut teams = Table::new("teams");
        let (tier, team, text) = (teams.integers("tier"), teams.words("team"), teams.text("tier"));
        let found = teams.find(["cart", "checkout", "x"])?;
        let tiers = [0, 1, 2].map(|key| found.read(tier).get(key));
        assert_eq!(tiers, [Some(3), None, None]);
        assert_eq!(found.read(team).get(1).map(Str::as_bytes), Some(&b"money"[..]));
        assert_eq!([0, 1, 2].map(|key| found.read(text).present().presence(key)), [OtherType, Absent, Absent]);
        let question = |table: &Table, part: &str| {
            let error = table.find(["cart"]).err().unwrap_or_default();
            assert!(error.contains(part), "{error}");
        };
        question(&Table::new("gone"), "no lookup table named `gone`");
        let mut wrong = Table::new("teams");
        wrong.text("taem");
        question(&wrong, "has no field `taem`");
        let mut wrong = Table::new("teams");
        wrong.field::<Ids>("team");
        question(&wrong, "in a layout that no lookup table has");
        assert!(teams.find(&vec!["cart"; tables::CELLS / 3 + 1][..]).is_err_and(|error| error.contains("more than")));
        edits.set(this.target, tracemill_sdk::Rows::Every, true);
    });
    let mut plugin = testing::plugin::<Asks>("{}");
    plugin.set_table(
        "teams",
        [("cart", vec![("team", "shop".into()), ("tier", 3_i64.into())]), ("checkout", vec![("team", "money".into())])],
    );
    assert!(!plugin.run([Span::named("a")]).is_untouched(0), "it came to the end");
}
