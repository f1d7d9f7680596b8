//! The folder is the chain: what is put, replaced, renamed, removed or broken there, and what comes of it.

use anyhow::Result;
use harness::spans::Mix;
use harness::{Generator, Profile, Proxy, Sink, plugins, wait};
use serde_json::json;
use std::fs;
use std::io::Write as _;
use system::{error_of, failed, stage};

use crate::command_line;

const PATIENT: &str = "the status to show it";

fn generator(seed: u64) -> Generator {
    Generator::new(Profile::Small, seed).mix(Mix::PLAIN)
}

/// Sends a few spans and tells which stamp they came out with.
async fn stamp_of(proxy: &Proxy, sink: &Sink, generator: &mut Generator) -> Result<Option<String>> {
    let before = sink.spans();
    let made = generator.request(8);
    assert!(proxy.grpc().send(&made.request).await?.is_whole());
    sink.wait_for_spans(before + 8).await?;
    let stamps: Vec<_> = sink.arrivals(|arrivals| made.ids.iter().map(|id| arrivals.ids[id].stamp.clone()).collect());
    assert!(stamps.iter().all(|stamp| *stamp == stamps[0]), "one request, several stamps: {stamps:?}");
    Ok(stamps[0].clone())
}

fn stamp(version: u32) -> String {
    format!("stamp-version-{version:04}")
}

#[tokio::test]
async fn plugins_are_added_replaced_and_removed_without_a_restart() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink);
    setup
        .run(async |proxy| {
            let mut generator = generator(81);
            assert_eq!(stamp_of(proxy, &sink, &mut generator).await?, None);
            let empty = proxy.generation().await?;
            proxy.install("20-stamp.wasm", &plugins::stamp(1)?)?;
            let first = proxy.generation_after(empty).await?;
            assert_eq!(stamp_of(proxy, &sink, &mut generator).await?, Some(stamp(1)));
            proxy.install("20-stamp.wasm", &plugins::stamp(2)?)?;
            let second = proxy.generation_after(first).await?;
            assert_eq!(stamp_of(proxy, &sink, &mut generator).await?, Some(stamp(2)));
            fs::remove_file(proxy.plugins().join("20-stamp.wasm"))?;
            proxy.generation_after(second).await?;
            assert_eq!(stamp_of(proxy, &sink, &mut generator).await?, None);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_copy_written_in_place_is_taken_once_it_is_whole() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink).file("20-stamp.wasm", &plugins::stamp(1)?)?;
    setup
        .run(async |proxy| {
            let before = proxy.generation().await?;
            // As `cp` over the file does: truncated, then written.
            fs::write(proxy.plugins().join("20-stamp.wasm"), plugins::stamp(2)?)?;
            proxy.generation_after(before).await?;
            assert_eq!(stamp_of(proxy, &sink, &mut generator(82)).await?, Some(stamp(2)));
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_file_that_is_written_slowly_is_taken_once_it_is_whole() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink).file("20-stamp.wasm", &plugins::stamp(1)?)?;
    setup
        .run(async |proxy| {
            let mut generator = generator(88);
            let before = proxy.generation().await?;
            let whole = plugins::stamp(2)?;
            let (first, rest) = whole.split_at(whole.len() / 2);
            let mut file = fs::File::create(proxy.plugins().join("20-stamp.wasm"))?;
            file.write_all(first)?;
            // Nobody can tell that more is to come once the file stands still: what is there is tried, and says what is wrong with it.
            let is_refused =
                |status: &_| error_of(status, "stamp").is_some_and(|why| why.contains("it is broken or not complete"));
            proxy.plugin_status_that("half of it to be refused", is_refused).await?;
            assert_eq!(stamp_of(proxy, &sink, &mut generator).await?, Some(stamp(1)));
            assert_eq!(proxy.generation().await?, before, "half a file changed the chain");
            file.write_all(rest)?;
            drop(file);
            proxy.generation_after(before).await?;
            assert_eq!(stamp_of(proxy, &sink, &mut generator).await?, Some(stamp(2)));
            proxy.plugin_status_that(PATIENT, |status| error_of(status, "stamp").is_none()).await?;
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_broken_file_leaves_the_last_good_one_running_and_says_why() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink).file("20-stamp.wasm", &plugins::stamp(1)?)?;
    setup
        .run(async |proxy| {
            let mut generator = generator(83);
            let before = proxy.generation().await?;
            let whole = plugins::stamp(2)?;
            let broken: [(&str, Vec<u8>, &str); 4] = [
                ("text", b"this is no WebAssembly".to_vec(), "it is not WebAssembly"),
                ("half of a file", whole[..whole.len() / 2].to_vec(), "it is broken or not complete"),
                ("another contract version", plugins::of_another_contract(&whole)?, "it was made for version 9.7.0"),
                ("another module", b"\0asm\x01\0\0\0".to_vec(), "it is a core module without a component type"),
            ];
            for (what, bytes, reason) in broken {
                let said_before = proxy.log().len();
                proxy.install("20-stamp.wasm", &bytes)?;
                let why = failed(proxy, "stamp").await?;
                assert!(why.starts_with(&format!("20-stamp.wasm: check: {reason}")), "{what}: {why}");
                let parts = ["plugin cannot be used", "plugin=\"stamp\"", "file=20-stamp.wasm", "step=check", reason];
                let is_it = |line: &str| parts.iter().all(|part| line.contains(part));
                wait::until(&format!("the log to say why {what} is none"), async || {
                    proxy.log()[said_before..].lines().any(is_it).then_some(())
                })
                .await?;
                assert_eq!(stamp_of(proxy, &sink, &mut generator).await?, Some(stamp(1)), "{what}");
                assert_eq!(proxy.generation().await?, before, "{what}: a failed reload changed the chain");
                // The good one again: the status is clean again, and nothing new had to be published.
                proxy.install("20-stamp.wasm", &plugins::stamp(1)?)?;
                proxy.plugin_status_that(PATIENT, |status| error_of(status, "stamp").is_none()).await?;
            }
            proxy.install("20-stamp.wasm", &whole)?;
            proxy.generation_after(before).await?;
            assert_eq!(stamp_of(proxy, &sink, &mut generator).await?, Some(stamp(2)));
            Ok(())
        })
        .await
}

#[tokio::test]
async fn settings_that_are_refused_leave_the_last_good_ones_and_are_quoted() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink).file("20-stamp.wasm", &plugins::stamp(1)?)?;
    setup
        .run(async |proxy| {
            let before = proxy.generation().await?;
            proxy.install("20-stamp.yaml", b"settings: { refuse: not on a Saturday }\n")?;
            let why = failed(proxy, "stamp").await?;
            let words = "settings.refuse: not on a Saturday";
            assert_eq!(why, format!("20-stamp.wasm: configure: {words}"));
            // The same words wherever an operator looks: in the log, and in what the command says.
            let parts = ["plugin cannot be used; version ", " stays", "plugin=\"stamp\"", "step=configure", words];
            let is_it = |line: &str| parts.iter().all(|part| line.contains(part));
            wait::until("the log to quote the plugin", async || proxy.log().lines().any(is_it).then_some(())).await?;
            let (code, said) = command_line::status(proxy).await?;
            assert_eq!(code, Some(1), "something has failed: {said}");
            let row = said.lines().find(|line| line.starts_with("stamp")).unwrap_or_default();
            assert!(row.split_whitespace().any(|word| word == "live"), "{said}");
            assert!(said.contains(&format!("20-stamp.wasm failed at step configure: {words}")), "{said}");
            assert_eq!(stamp_of(proxy, &sink, &mut generator(84)).await?, Some(stamp(1)));
            assert_eq!(proxy.generation().await?, before, "a failed reload changed the chain");
            proxy.install("20-stamp.yaml", b"setings: {}\n")?;
            let misspelt =
                |status: &serde_json::Value| error_of(status, "stamp").is_some_and(|why| why.contains("setings"));
            let status = proxy.plugin_status_that("the misspelt key to be named", misspelt).await?;
            assert!(error_of(&status, "stamp").is_some_and(|why| why.contains("settings")), "{status:#}");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_sidecar_alone_changes_how_a_plugin_runs() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink).file("20-stamp.wasm", &plugins::stamp(1)?)?;
    setup
        .run(async |proxy| {
            let mut generator = generator(85);
            let before = proxy.generation().await?;
            let never = json!({ "when": [[{ "path": "name", "equals": "no such name" }]] });
            proxy.install("20-stamp.yaml", never.to_string().as_bytes())?;
            let narrowed = proxy.generation_after(before).await?;
            assert_eq!(stamp_of(proxy, &sink, &mut generator).await?, None);
            fs::remove_file(proxy.plugins().join("20-stamp.yaml"))?;
            proxy.generation_after(narrowed).await?;
            assert_eq!(stamp_of(proxy, &sink, &mut generator).await?, Some(stamp(1)));
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_sidecar_that_is_renamed_away_and_back_takes_its_effect_along() -> Result<()> {
    let sink = Sink::start().await?;
    let never = json!({ "when": [[{ "path": "name", "equals": "no such name" }]] });
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .file("20-stamp.wasm", &plugins::stamp(1)?)?
        .sidecar("20-stamp", &never)?;
    setup
        .run(async |proxy| {
            let mut generator = generator(89);
            let (here, away) = (proxy.plugins().join("20-stamp.yaml"), proxy.plugins().join("_20-stamp.yaml"));
            assert_eq!(stamp_of(proxy, &sink, &mut generator).await?, None);
            let with = proxy.generation().await?;
            fs::rename(&here, &away)?;
            let without = proxy.generation_after(with).await?;
            assert_eq!(stamp_of(proxy, &sink, &mut generator).await?, Some(stamp(1)));
            fs::rename(&away, &here)?;
            proxy.generation_after(without).await?;
            assert_eq!(stamp_of(proxy, &sink, &mut generator).await?, None);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn order_is_by_name_and_renaming_changes_it() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .file("20-one.wasm", &plugins::stamp(1)?)?
        .file("30-two.wasm", &plugins::stamp(2)?)?
        .file("_40-three.wasm", &plugins::stamp(3)?)?;
    setup
        .run(async |proxy| {
            let mut generator = generator(86);
            assert_eq!(stamp_of(proxy, &sink, &mut generator).await?, Some(stamp(2)), "the last one wins");
            let before = proxy.generation().await?;
            fs::rename(proxy.plugins().join("30-two.wasm"), proxy.plugins().join("10-two.wasm"))?;
            proxy.generation_after(before).await?;
            assert_eq!(stamp_of(proxy, &sink, &mut generator).await?, Some(stamp(1)));
            let status = proxy.plugin_status().await?;
            assert!(stage(&status, "one").is_some() && stage(&status, "two").is_some(), "{status:#}");
            assert!(stage(&status, "three").is_none(), "a file whose name begins with _ is no plugin: {status:#}");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_plugin_that_fails_from_the_start_does_not_keep_others_from_running() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .file("10-broken.wasm", b"this is no WebAssembly")?
        .file("20-stamp.wasm", &plugins::stamp(1)?)?;
    setup
        .run(async |proxy| {
            let why = failed(proxy, "broken").await?;
            assert!(why.starts_with("10-broken.wasm: check: it is not WebAssembly"), "{why}");
            assert_eq!(stamp_of(proxy, &sink, &mut generator(87)).await?, Some(stamp(1)));
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_plugin_that_refuses_from_the_start_is_quoted_and_the_others_run() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .file("10-picky.wasm", &plugins::stamp(1)?)?
        .file("10-picky.yaml", b"settings: { refuse: not with me }\n")?
        .file("20-stamp.wasm", &plugins::stamp(2)?)?;
    setup
        .run(async |proxy| {
            let words = "settings.refuse: not with me";
            assert_eq!(failed(proxy, "picky").await?, format!("10-picky.wasm: configure: {words}"));
            let (code, said) = command_line::status(proxy).await?;
            assert_eq!(code, Some(1), "something has failed: {said}");
            let row = said.lines().find(|line| line.starts_with("picky")).unwrap_or_default();
            assert!(row.split_whitespace().any(|word| word == "FAILED"), "{said}");
            assert!(said.contains(&format!("10-picky.wasm failed at step configure: {words}")), "{said}");
            let is_it = |line: &str| line.contains("plugin=\"picky\"") && line.contains(words);
            assert!(proxy.log().lines().any(is_it), "{}", proxy.log());
            assert_eq!(stamp_of(proxy, &sink, &mut generator(90)).await?, Some(stamp(2)));
            Ok(())
        })
        .await
}
