//! Plugins that do what none may, dropped into the folder of a running proxy: each is told of in words an operator can use, or kept within its
//! bounds, and the traffic is what it was without it. The bounds are those of the configuration, and of the sidecar where that has its own.

use anyhow::{Context as _, Result, ensure};
use harness::proxy::Setup;
use harness::sink::Keep;
use harness::spans::Mix;
use harness::{Generator, Profile, Proxy, Sink, plugins, wait};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write as _;
use system::{error_of, stage};

const SPANS: usize = 20;

fn probe() -> Result<Vec<u8>> {
    Ok(fs::read(plugins::guest("probe")?)?)
}

/// A sidecar of the guest `probe` that makes it do this. Only what spins is to miss its deadline, however busy the machine is.
fn doing(verb: &str, more: &Value) -> Value {
    let deadline = if verb == "spins" { "20ms" } else { "20s" };
    let mut sidecar = json!({ "settings": { "do": verb }, "deadline": deadline, "on_error": "pass" });
    let more = more.as_object().cloned().unwrap_or_default();
    sidecar.as_object_mut().into_iter().for_each(|sidecar| sidecar.extend(more.clone()));
    sidecar
}

fn setup(sink: &Sink, sidecar: &Value) -> Result<Setup> {
    Proxy::setup()?.export_grpc("sink", sink).file("50-probe.wasm", &probe()?)?.sidecar("50-probe", sidecar)
}

fn install(proxy: &Proxy, sidecar: &Value) -> Result<()> {
    proxy.install("50-probe.yaml", sidecar.to_string().as_bytes())
}

/// Replaces the sidecar, waits until the new version runs, and answers what was logged since.
async fn live(proxy: &Proxy, sidecar: &Value) -> Result<usize> {
    let (before, logged) = (proxy.generation().await?, proxy.log().len());
    install(proxy, sidecar)?;
    proxy.generation_after(before).await.with_context(|| sidecar.to_string())?;
    Ok(logged)
}

/// Waits until the probe's newest version has failed, and its status and log say so with these words.
async fn refused(proxy: &Proxy, what: &str, words: &[&str], logged: usize) -> Result<()> {
    let said = |text: &str| words.iter().all(|word| text.contains(word));
    let failed = |status: &Value| error_of(status, "probe").is_some_and(|why| said(&why));
    proxy.plugin_status_that(&format!("{what} to be refused with {words:?}"), failed).await?;
    let in_log =
        async || proxy.log()[logged..].lines().any(|line| line.contains("plugin cannot be used")).then_some(());
    wait::until(&format!("the log to tell of {what}"), in_log).await
}

async fn in_log(proxy: &Proxy, logged: usize, word: &str) -> Result<()> {
    wait::until(&format!("the log to say {word}"), async || proxy.log()[logged..].contains(word).then_some(())).await
}

/// Sends spans and answers them as they were, and as they arrived.
async fn passed(proxy: &Proxy, sink: &Sink, seed: u64) -> Result<(Vec<Span>, Vec<Span>)> {
    sink.take_requests();
    let before = sink.spans();
    let made = Generator::new(Profile::Small, seed).mix(Mix::PLAIN).request(SPANS);
    ensure!(proxy.grpc().send(&made.request).await?.is_whole());
    sink.wait_for_spans(before + SPANS as u64).await?;
    let sorted = |requests: &[_]| {
        let mut spans: Vec<Span> = requests.iter().flat_map(harness::sink::spans).cloned().collect();
        spans.sort_by(|one, other| one.span_id.cmp(&other.span_id));
        spans
    };
    Ok((sorted(&[made.request]), sorted(&sink.take_requests())))
}

/// The spans pass as they came.
async fn unharmed(proxy: &Proxy, sink: &Sink, what: &str) -> Result<()> {
    let (sent, arrived) = passed(proxy, sink, 51).await?;
    ensure!(sent == arrived, "{what}: spans were changed");
    Ok(())
}

async fn faults(proxy: &Proxy) -> Result<u64> {
    Ok(proxy.metrics().await?.sum("tracemill_plugin_faults_total", &[("plugin", "probe")]) as u64)
}

#[tokio::test]
async fn what_fails_before_it_is_live_leaves_the_last_good_version_and_the_traffic_alone() -> Result<()> {
    let cases: &[(&str, &[&str])] = &[
        ("spins", &["probe: deadline: it was stopped after ", "its deadline is 20 ms"]),
        ("bombs", &["probe: memory: it wanted 65 MiB of memory; its limit is 64 MiB"]),
        // By the end of its stack in the guest's memory or in the host, as it was built.
        ("recurses", &["probe: trap: ", "wasm trap: "]),
        ("many-edits", &["probe: edits: a call answered 40000 edits; the limit is 32768"]),
        ("giant-reason", &["probe: trap: ", "too much data is being copied"]),
        ("giant-list", &["probe: trap: ", "too much data is being copied"]),
        ("far-rows", &["probe: edits: edit 0 (drop): row ", "is out of range"]),
        ("no-utf8", &["probe: trap: ", "utf-8"]),
        ("wrong-type", &["probe: edits: edit 0 (set): "]),
        ("no-path", &["probe: edits: edit 2: there is no path `atributes"]),
        ("traps", &["probe: trap: "]),
        ("dies-with-words", &["it said: the pattern of rule 3 does not hold"]),
        ("fails", &["probe: error: the table of teams is empty"]),
        ("configure-traps", &["configure: configure: trap: "]),
        ("configure-spins", &["configure: configure: deadline: it was stopped after "]),
        ("unknown-path", &["its plan cannot be followed: columns[0]: there is no path"]),
        ("many-columns", &["columns has 2000 elements; the limit is 1024"]),
    ];
    let sink = Sink::keeping(Keep::Requests).await?;
    let good = doing("nothing", &json!({}));
    setup(&sink, &good)?
        .run(async |proxy| {
            let before = proxy.generation().await?;
            for (verb, words) in cases {
                let logged = proxy.log().len();
                install(proxy, &doing(verb, &json!({})))?;
                refused(proxy, verb, words, logged).await?;
                unharmed(proxy, &sink, verb).await?;
                install(proxy, &good)?;
                proxy.plugin_status_that("a clean status", |status| error_of(status, "probe").is_none()).await?;
            }
            ensure!(proxy.generation().await? == before, "what failed has changed the chain");
            ensure!(faults(proxy).await? == 0, "what was probed is nobody's fault");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn files_that_are_no_plugins_leave_the_last_good_version_and_the_traffic_alone() -> Result<()> {
    let whole = probe()?;
    let sink = Sink::keeping(Keep::Requests).await?;
    setup(&sink, &doing("nothing", &json!({})))?
        .run(async |proxy| {
            let cases: [(&str, Vec<u8>, &str); 5] = [
                ("half a file", whole[..whole.len() / 2].to_vec(), "it is broken or not complete"),
                ("a text", b"name: probe\n".to_vec(), "it is not WebAssembly: it begins with \"name: pr\""),
                ("nothing", Vec::new(), "it is empty"),
                ("another contract", plugins::of_another_contract(&whole)?, "it was made for version 9.7.0"),
                (
                    "what nobody granted",
                    fs::read(plugins::guest("asks")?)?,
                    "it imports `test:asks/network`, which plugins are not given",
                ),
            ];
            let before = proxy.generation().await?;
            for (what, bytes, words) in cases {
                let logged = proxy.log().len();
                proxy.install("50-probe.wasm", &bytes)?;
                refused(proxy, what, &["50-probe.wasm: check: ", words], logged).await?;
                unharmed(proxy, &sink, what).await?;
                proxy.install("50-probe.wasm", &whole)?;
                proxy.plugin_status_that("a clean status", |status| error_of(status, "probe").is_none()).await?;
            }
            // A module of 100 MB, nearly all of it a hole in the file.
            let unfinished = proxy.plugins().join(".large");
            let mut file = File::create(&unfinished)?;
            file.write_all(b"\0asm\x01\0\0\0")?;
            file.set_len(100_000_000)?;
            let logged = proxy.log().len();
            fs::rename(unfinished, proxy.plugins().join("50-probe.wasm"))?;
            let words = ["it has 100000000 bytes; the limit is 67108864 (`limits.file` sets another)"];
            refused(proxy, "a large module", &words, logged).await?;
            unharmed(proxy, &sink, "a large module").await?;
            ensure!(proxy.generation().await? == before, "what failed has changed the chain");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn floods_are_kept_within_their_bounds_and_the_plugin_goes_on() -> Result<()> {
    let sink = Sink::keeping(Keep::Requests).await?;
    let flood = doing("log-flood", &json!({}));
    setup(&sink, &flood)?
        .run(async |proxy| {
            let logged = proxy.log().len();
            unharmed(proxy, &sink, "log-flood").await?;
            in_log(proxy, logged, "a call logged more than its limit").await?;
            in_log(proxy, logged, "lines=99968").await?;

            live(proxy, &doing("state-flood", &json!({ "grants": { "state": "64KiB" } }))).await?;
            let (_, arrived) = passed(proxy, &sink, 52).await?;
            let full = "1 kept; the plugin's state is full: it holds its limit of 65536 bytes";
            ensure!(arrived.iter().all(|span| format!("{:?}", span.attributes).contains(full)), "{arrived:?}");

            live(proxy, &doing("name-flood", &json!({}))).await?;
            unharmed(proxy, &sink, "name-flood").await?;
            let names = proxy.metrics().await?.values("tracemill_plugin_custom_total", "name").len();
            ensure!((1..=100).contains(&names), "{names} counters");
            ensure!(faults(proxy).await? == 0, "a flood that is cut off is no fault");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_plugin_that_traps_in_every_third_call_costs_no_span() -> Result<()> {
    let sink = Sink::keeping(Keep::Requests).await?;
    let unbroken = json!({ "breaker": { "faults": 1000 } });
    setup(&sink, &doing("traps-at-the-third", &unbroken))?
        .run(async |proxy| {
            for _ in 0..12 {
                unharmed(proxy, &sink, "traps-at-the-third").await?;
            }
            ensure!(faults(proxy).await? >= 1, "it has never trapped");
            // With instances that make way after two calls there is no third one.
            let mut retiring = unbroken.clone();
            retiring["limits"] = json!({ "calls": 2 });
            live(proxy, &doing("traps-at-the-third", &retiring)).await?;
            let before = faults(proxy).await?;
            for _ in 0..12 {
                unharmed(proxy, &sink, "traps-at-the-third with limits.calls").await?;
            }
            ensure!(faults(proxy).await? == before, "an instance was called more than twice");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn each_limit_can_be_set_for_all_plugins_and_for_one_and_is_what_ends_a_hostile_guest() -> Result<()> {
    let sink = Sink::keeping(Keep::Requests).await?;
    let good = doing("nothing", &json!({}));
    // The verb, the limits of its sidecar, and what is said.
    let cases: &[(&str, Value, &str)] = &[
        ("many-edits", json!({}), "a call answered 40000 edits; the limit is 70"),
        ("many-edits", json!({ "limits": { "edits": 60 } }), "a call answered 40000 edits; the limit is 60"),
        ("log-giant", json!({ "limits": { "output": "1MiB" } }), "too much data is being copied"),
        ("nothing", json!({ "limits": { "table_elements": 1 } }), "tables of "),
        ("nothing", json!({ "limits": { "instances": 1 } }), "instance count too high"),
        ("nothing", json!({ "limits": { "file": "2KiB" } }), "bytes; the limit is 2048"),
        ("bombs", json!({ "memory": "8MiB" }), "of memory; its limit is 8 MiB"),
        ("bombs", json!({}), "of memory; its limit is 32 MiB"),
        ("spins", json!({ "deadline": "10ms" }), "its deadline is 10 ms"),
    ];
    setup(&sink, &good)?
        .set("plugins.limits", json!({ "edits": 70, "log_lines": 5 }))
        .set("plugins.memory", "32MiB")
        .run(async |proxy| {
            for (verb, more, words) in cases {
                let logged = proxy.log().len();
                install(proxy, &doing(verb, more))?;
                refused(proxy, &format!("{verb} with {more}"), &[words], logged).await?;
                unharmed(proxy, &sink, verb).await?;
                install(proxy, &good)?;
                proxy.plugin_status_that("a clean status", |status| error_of(status, "probe").is_none()).await?;
            }
            let logged = live(proxy, &doing("log-flood", &json!({}))).await?;
            unharmed(proxy, &sink, "log-flood").await?;
            in_log(proxy, logged, "lines=99995").await?;
            let few = json!({ "limits": { "log_lines": 3, "log_bytes": "1KiB" } });
            let logged = live(proxy, &doing("log-flood", &few)).await?;
            unharmed(proxy, &sink, "log-flood").await?;
            in_log(proxy, logged, "lines=99997").await?;
            let logged = live(proxy, &doing("log-giant", &few)).await?;
            unharmed(proxy, &sink, "log-giant").await?;
            in_log(proxy, logged, "a call logged more than its limit").await?;
            let longest = proxy.log()[logged..].lines().map(str::len).max().unwrap_or_default();
            ensure!((1024..4096).contains(&longest), "a line of {longest} bytes");
            let status = proxy.plugin_status().await?;
            ensure!(stage(&status, "probe").is_some_and(|stage| stage["faults"] == json!(0)), "{status:#}");
            Ok(())
        })
        .await
}
