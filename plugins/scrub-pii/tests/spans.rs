//! Whole spans through the plugin: every place is visited, and the settings say what becomes of what is found.

use scrub_pii::ScrubPii;
use tracemill_sdk::prelude::*;

#[test]
fn personal_data_goes_wherever_it_stands() {
    let mut plugin = testing::plugin::<ScrubPii>("{}");
    let span = Span::named("send to jane@example.com")
        .status(2, "550 no mailbox jane@example.com")
        .attribute("note", "call +49 30 901820")
        .attribute("http.route", "/users/{id}")
        .resource_attribute("host.owner", "ops@example.com")
        .event("exception", [("exception.message", "no user john@example.org".into())]);
    let run = plugin.run([span]);
    let after = run.span(0).expect("it is not dropped");
    let json = format!("{after:?}");
    assert!(!json.contains("example.com") && !json.contains("example.org") && !json.contains("901820"), "{json}");
    assert_eq!(after.name, "send to [email]");
    assert_eq!(after.text_of("note"), Some("call [phone]"));
    assert_eq!(after.text_of("http.route"), Some("/users/{id}"));
    assert_eq!(after.resource_text_of("host.owner"), Some("[email]"));
}

#[test]
fn spans_on_which_it_fails_are_refused_unless_the_operator_says_otherwise() {
    assert_eq!(testing::plugin::<ScrubPii>("{}").plan().on_error, Failure::Reject);
}

#[test]
fn what_was_hidden_is_counted_by_detector() {
    let settings = r#"{"keys": ["secret"], "patterns": [{"name": "employee", "regex": "E-\\d{6}"}]}"#;
    let mut plugin = testing::plugin::<ScrubPii>(settings);
    let run = plugin.run([
        Span::named("jane@example.com to john@example.org").attribute("note", "+49 30 901820"),
        Span::named("by E-123456").attribute("secret", 17).attribute("mail", "ops@example.com"),
        Span::named("clean"),
    ]);
    let counts = ["email", "phone", "employee", "key"].map(|name| run.count(name));
    assert_eq!(counts, [3, 1, 1, 1]);
    for name in ["card", "iban", "ipv4", "ipv6", "jwt", "token", "url_password", "sql", "query"] {
        assert_eq!(run.count(name), 0, "{name}");
    }
    assert_eq!(plugin.run([Span::named("clean")]).count("email"), 0, "a count is told once");
}

#[test]
fn clean_spans_are_not_touched() {
    let mut plugin = testing::plugin::<ScrubPii>("{}");
    let span = Span::named("GET /users/{id}")
        .attribute("http.response.status_code", 200)
        .attribute("service.version", "1.2.3.4")
        .attribute("user_agent.original", "Go-http-client/2.0");
    assert!(plugin.run([span]).is_untouched(0));
}

#[test]
fn each_detector_has_its_own_action() {
    let settings = r#"{"action": "redact", "hash_key": "0123456789abcdef",
        "detectors": {"email": "hash", "phone": "mask", "ipv4": false}}"#;
    let mut plugin = testing::plugin::<ScrubPii>(settings);
    let text = "jane@example.com, +49 30 901820, 203.0.113.7, DE89370400440532013000";
    let run = plugin.run([Span::named("a").attribute("x", text), Span::named("b").attribute("x", text)]);
    let one = run.span(0).and_then(|span| span.text_of("x").map(str::to_owned)).expect("the attribute stays");
    assert!(one.starts_with("[email:") && one.ends_with(", +** ** **1820, 203.0.113.7, [iban]"), "{one}");
    // Equal values stay equal.
    assert_eq!(run.span(1).and_then(|span| span.text_of("x").map(str::to_owned)), Some(one));
}

#[test]
fn listed_keys_go_whatever_they_hold_and_allowed_ones_stay() {
    let settings = r#"{"keys": ["enduser.*", "secret"], "keys_action": "remove", "allow_keys": ["support.contact"]}"#;
    let mut plugin = testing::plugin::<ScrubPii>(settings);
    let span = Span::named("a")
        .attribute("enduser.id", "jane")
        .attribute("enduser.score", 17)
        .attribute("secret", true)
        .attribute("support.contact", "help@example.com");
    let run = plugin.run([span]);
    let after = run.span(0).expect("it is not dropped");
    assert!(
        after.attributes.get("enduser.id").is_none()
            && after.attributes.get("enduser.score").is_none()
            && after.attributes.get("secret").is_none(),
        "{after:?}"
    );
    assert_eq!(after.text_of("support.contact"), Some("help@example.com"));
}

#[test]
fn sql_and_query_strings_lose_their_values_and_keep_their_shape() {
    let mut plugin = testing::plugin::<ScrubPii>("{}");
    let span = Span::named("query")
        .attribute("db.query.text", "SELECT * FROM users WHERE email = 'jane@example.com' AND id = 42 -- jane's")
        .attribute("url.full", "https://x.example/login?user=jane&page=2#top")
        .attribute("url.query", "token=abc&sort=asc");
    let run = plugin.run([span]);
    let after = run.span(0).expect("it is not dropped");
    assert_eq!(after.text_of("db.query.text"), Some("SELECT * FROM users WHERE email = ? AND id = ? --?"));
    assert_eq!(after.text_of("url.full"), Some("https://x.example/login?user=[query]&page=2#top"));
    assert_eq!(after.text_of("url.query"), Some("token=[token]&sort=asc"));
}

#[test]
fn own_patterns_have_their_own_name_and_the_note_counts() {
    let settings = r#"{"patterns": [{"name": "employee", "regex": "E-\\d{6}", "action": "mask"}], "note": true}"#;
    let mut plugin = testing::plugin::<ScrubPii>(settings);
    let run = plugin.run([Span::named("by E-123456").attribute("mail", "a@example.com"), Span::named("clean")]);
    let after = run.span(0).expect("it is not dropped");
    assert_eq!(after.name, "by *-******");
    assert_eq!(after.attributes.get("tracemill.scrubbed"), Some(&2.into()));
    assert!(run.is_untouched(1));
}

#[test]
fn wrong_settings_name_their_key() {
    for (settings, key) in [
        (r#"{"detectors": {"emial": true}}"#, "settings.detectors.emial"),
        (r#"{"patterns": [{"name": "x", "regex": "("}]}"#, "settings.patterns[0].regex"),
        (r#"{"patterns": [{"name": "x", "regex": "a*"}]}"#, "settings.patterns[0].regex"),
        (r#"{"action": "hash", "hash_key": "short"}"#, "settings.hash_key"),
        (r#"{"acton": "mask"}"#, "acton"),
    ] {
        let refusal = testing::refusal::<ScrubPii>(settings);
        assert!(refusal.contains(key), "{settings}: {refusal}");
    }
}
