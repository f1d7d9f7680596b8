//! Spelling, permissions and staleness of paths.

use proptest::prelude::*;

use super::parse::{KEYED, LONGEST, PLAIN};
use super::{Layout, Path, PathError, Want};

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn nearest(text: &str) -> String {
    match text.parse::<Path>() {
        Err(PathError::Unknown { nearest, .. }) => nearest,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_plain_path_reads_back() {
    for plain in &PLAIN {
        assert_eq!(path(&plain.to_string()), *plain);
        assert!(plain.is_readable() && !plain.layouts().is_empty());
    }
}

proptest! {
    #[test]
    fn every_key_reads_back(key in ".*", which in 0..KEYED.len()) {
        let made = KEYED[which].1(key.as_str().into());
        prop_assert_eq!(made.to_string().parse::<Path>(), Ok(made));
    }

    #[test]
    fn any_text_is_a_path_or_has_a_nearest_one(text in "(span\\.)?[a-z_.]{0,20}(\\[\"?.{0,6}\"?\\]?)?") {
        if text.parse::<Path>().is_err() {
            prop_assert!(nearest(&text).parse::<Path>().is_ok(), "{}", text);
        }
    }
}

#[test]
fn what_is_too_long_is_said_in_few_words() {
    let long = |len: usize| format!("attributes[\"{}\"]", "x".repeat(len - 14));
    assert!(long(LONGEST).parse::<Path>().is_ok());
    for text in [long(LONGEST + 1), "ä".repeat(10 << 20)] {
        let said = text.parse::<Path>().unwrap_err().to_string();
        assert!(said.len() < 400 && said.ends_with(&format!("has {}", text.len())), "{said}");
    }
    // Only its beginning is compared with the paths that there are.
    let said = "x".repeat(LONGEST).parse::<Path>().unwrap_err().to_string();
    assert!(said.len() < 400, "{said}");
}

#[test]
fn keys_are_quoted_and_escaped() {
    assert_eq!(path(r#"attributes["http.route"]"#), Path::Attribute("http.route".into()));
    assert_eq!(path(r#"attributes["a\"b\\c]"]"#), Path::Attribute(r#"a"b\c]"#.into()));
    assert_eq!(path(r#"request.header["X-Tenant"]"#), Path::RequestHeader("x-tenant".into()));
    for wrong in
        [r#"attributes["a"b"]"#, r#"attributes["a\n"]"#, r#"attributes["a\"]"#, "attributes[a]", "attributes[", " name"]
    {
        assert!(wrong.parse::<Path>().is_err(), "{wrong}");
    }
}

#[test]
fn mistakes_are_told_the_nearest_path() {
    assert_eq!(nearest("Name"), "name");
    assert_eq!(nearest("span.name"), "name");
    assert_eq!(nearest("start_time"), "start_time_unix_nano");
    assert_eq!(nearest("status_code"), "status.code");
    assert_eq!(nearest("atributes[\"http.route\"]"), r#"attributes["http.route"]"#);
    assert_eq!(nearest("attributes['http.route']"), r#"attributes["http.route"]"#);
    assert_eq!(nearest("attributes[http.route]"), r#"attributes["http.route"]"#);
    assert_eq!(nearest("attributes.http.route"), r#"attributes["http.route"]"#);
    assert_eq!(nearest("resource.attributes.service.name"), r#"resource.attributes["service.name"]"#);
    let error = "kind_".parse::<Path>().unwrap_err().to_string();
    assert_eq!(error, "there is no path `kind_`; the nearest is `kind`");
}

#[test]
fn a_layout_that_a_path_cannot_have_is_refused() {
    assert!(Want::new(Path::TraceId, Layout::Ids).is_ok());
    let error = Want::new(Path::Name, Layout::Integers).unwrap_err();
    assert_eq!(error.to_string(), "`name` cannot be laid out as integers, only as text, words");
    let error = Want::new(Path::Attributes, Layout::Text).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"`attributes` cannot be laid out as text, only as entries; a single value is `attributes["KEY"]`"#
    );
}

#[test]
fn many_places_cover_their_single_ones() {
    let covers = |many: &str, single: &str| path(many).covers(&path(single));
    assert!(covers("attributes", r#"attributes["x"]"#));
    assert!(!covers("attributes", r#"resource.attributes["x"]"#));
    assert!(!covers(r#"attributes["x"]"#, "attributes"));
    assert!(!covers(r#"attributes["x"]"#, r#"attributes["y"]"#));
    assert!(covers("events", "events.name") && covers("events", r#"events.attributes["x"]"#));
    for text in ["name", "trace_state", "status.message", "scope.version", r#"links.attributes["x"]"#] {
        assert!(covers("strings", text) && covers("values", text), "{text}");
    }
    assert!(covers("values", "strings") && covers("values", "attributes"));
    assert!(!covers("strings", "attributes") && !covers("strings", "values"));
    for other in ["kind", "events", "trace_id", "duration", "resource"] {
        assert!(!covers("strings", other) && !covers("values", other), "{other}");
    }
}

#[test]
fn a_write_makes_stale_what_shows_it() {
    let stale = |shown: &str, written: &str| path(shown).is_changed_by(&path(written));
    assert!(stale(r#"attributes["a"]"#, r#"attributes["a"]"#));
    assert!(!stale(r#"attributes["b"]"#, r#"attributes["a"]"#));
    for many in ["attributes", "strings", "values"] {
        assert!(stale(many, r#"attributes["a"]"#) && stale(r#"attributes["a"]"#, many), "{many}");
    }
    assert!(stale("strings", "attributes") && stale("attributes", "strings") && stale("strings", "values"));
    assert!(stale("events.name", "events") && stale("events", "events.name") && stale("strings", "events"));
    assert!(stale("duration", "end_time_unix_nano") && !stale("duration", "name"));
    assert!(stale("resource", r#"resource.attributes["a"]"#) && stale("scope", r#"resource.attributes["a"]"#));
    assert!(!stale("resource", "scope.name") && stale("scope", "scope.name"));
    assert!(!stale("kind", "strings"));
}
