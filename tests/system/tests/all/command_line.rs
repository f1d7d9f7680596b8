//! What operators type: `check`, `status`, `inspect`, `version`.

use anyhow::Result;
use harness::proxy::binary;
use harness::{Proxy, Sink, plugins};
use std::process::{Command, Output};

fn tracemill(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(binary()?).args(arguments).env("NO_COLOR", "1").output()?)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

/// What `tracemill status` says of a running proxy, and its exit code.
pub async fn status(proxy: &Proxy) -> Result<(Option<i32>, String)> {
    let admin = proxy.ports().admin.clone();
    let output = tokio::task::spawn_blocking(move || tracemill(&["status", "--admin", &admin])).await??;
    Ok((output.status.code(), said(&output)))
}

#[test]
fn version_is_told() -> Result<()> {
    let output = tracemill(&["version"])?;
    assert!(output.status.success() && said(&output).contains("0.1.0"), "{output:?}");
    Ok(())
}

#[test]
fn check_names_every_error_with_its_line_and_the_nearest_key() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("tracemill.yaml");
    std::fs::write(
        &file,
        "recieve: {}\nexport:\n  jaeger:\n    grpc: http://localhost:4317\n    queue: { size: 64 }\n",
    )?;
    let output = tracemill(&["check", "--config", &file.to_string_lossy()])?;
    let said = said(&output);
    assert!(!output.status.success(), "{said}");
    let lines = [
        "tracemill.yaml:1:1: recieve: unknown key, did you mean receive?",
        "tracemill.yaml:5:20: export.jaeger.queue.size: \"64\" has no unit",
    ];
    for expected in lines {
        assert!(said.lines().any(|line| line.contains(expected)), "no {expected} in {said}");
    }
    std::fs::write(&file, "export:\n  jaeger:\n    grpc: http://localhost:4317\n    queue: { size: 64MiB }\n")?;
    let output = tracemill(&["check", "--config", &file.to_string_lossy()])?;
    assert!(output.status.success(), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn status_shows_what_runs_and_what_does_not() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .file("20-stamp.wasm", &plugins::stamp(1)?)?
        .file("30-broken.wasm", b"this is no WebAssembly")?;
    setup
        .run(async |proxy| {
            let (code, said) = status(proxy).await?;
            assert_eq!(code, Some(1), "something has failed: {said}");
            let row = |stage: &str| said.lines().find(|line| line.starts_with(stage)).unwrap_or_default().to_owned();
            let has = |row: &str, cell: &str| row.split_whitespace().any(|word| word == cell);
            assert!(has(&row("stamp"), "live") && has(&row("stamp"), "20-stamp.wasm"), "{said}");
            assert!(has(&row("broken"), "FAILED") && has(&row("broken"), "30-broken.wasm"), "{said}");
            let why = "30-broken.wasm failed at step check: it is not WebAssembly: it begins with \"this is \"";
            assert!(said.contains(why), "no {why} in {said}");
            Ok(())
        })
        .await
}

#[test]
fn inspect_shows_what_a_plugin_is_and_would_do_before_anybody_runs_it() -> Result<()> {
    let place = tempfile::tempdir()?;
    let plugin = place.path().join("20-scrub-pii.wasm");
    std::fs::copy(plugins::official("scrub-pii")?, &plugin)?;
    std::fs::write(place.path().join("20-scrub-pii.yaml"), "on_error: drop\n")?;
    let binary = binary()?;
    let run = |json: bool| Command::new(&binary).arg("inspect").arg(&plugin).args(json.then_some("--json")).output();
    let text = String::from_utf8(run(false)?.stdout)?;
    for part in [
        "stage     scrub-pii",
        "contract  tracemill:plugin@0.2.",
        "imports   tracemill:plugin/",
        "values as entries",
        "may drop  no",
        "on error  drop",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let shown: serde_json::Value = serde_json::from_slice(&run(true)?.stdout)?;
    assert_eq!(shown["kind"], "core module");
    let hashed = Command::new("sha256sum").arg(&plugin).output()?;
    let hash = String::from_utf8(hashed.stdout)?;
    assert_eq!(shown["sha256"].as_str(), hash.split_whitespace().next());
    assert_eq!(shown["size"].as_u64(), Some(std::fs::metadata(&plugin)?.len()));
    // One that does not tell its plan is shown all the same.
    std::fs::write(place.path().join("20-scrub-pii.yaml"), "settings: { no_such: 1 }\n")?;
    let unplanned = run(false)?;
    assert_eq!(unplanned.status.code(), Some(1));
    assert!(String::from_utf8(unplanned.stdout)?.contains(hash.split_whitespace().next().unwrap_or("none")));
    assert!(String::from_utf8(unplanned.stderr)?.contains("no_such"));
    std::fs::write(&plugin, "#!/bin/sh")?;
    let refused = run(false)?;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr)?.contains("it is not WebAssembly: it begins with"));
    Ok(())
}

#[test]
fn inspect_tells_a_sampler_by_what_it_sees_and_is_asked_about() -> Result<()> {
    let place = tempfile::tempdir()?;
    let plugin = place.path().join("90-tail-sample.wasm");
    std::fs::copy(plugins::official("tail-sample")?, &plugin)?;
    let policies =
        "settings:\n  policies:\n  - { name: errors, type: status_code, status_code: { status_codes: [ERROR] } }\n";
    let sidecar = place.path().join("90-tail-sample.yaml");
    std::fs::write(&sidecar, policies)?;
    let binary = binary()?;
    let run = |json: bool| Command::new(&binary).arg("inspect").arg(&plugin).args(json.then_some("--json")).output();
    let text = String::from_utf8(run(false)?.stdout)?;
    for part in [
        "role      sampler",
        "exports   tracemill:plugin/sampler@0.2.",
        "shows     summaries of traces, no spans",
        "sees      nothing",
        "at once   status.code equals 2",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let shown: serde_json::Value = serde_json::from_slice(&run(true)?.stdout)?;
    let expected = serde_json::json!({ "show": "no_spans", "early": [["status.code equals 2"]] });
    assert_eq!((&shown["role"], &shown["plan"]["sampler"]), (&"sampler".into(), &expected));
    std::fs::write(&sidecar, format!("{policies}on_error: reject\n"))?;
    let refused = run(false)?;
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr)?;
    assert!(said.contains("90-tail-sample.yaml:4:11: on_error: a sampler may not say reject"), "{said}");
    Ok(())
}
