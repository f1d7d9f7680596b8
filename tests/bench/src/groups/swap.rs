//! From a file dropped into the folder to its generation live: compiled anew, and fetched from what was compiled before.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use backends::{javascript_guest, python_guest};
use harness::proxy::binary;
use harness::sink::{Keep, Sink};
use harness::{Proxy, plugins, wait};
use serde_json::json;
use tokio::time::Instant;

use crate::Arguments;
use crate::measure::Figures;
use crate::report::{Table, must};

/// A plugin in each language: small and large ones in Rust, and those that bring a whole runtime.
pub async fn run(arguments: &Arguments) -> Result<Table> {
    let head = ["plugin", "MB", "compiled anew", "compiled before", "must (aim)", "rolled back", "must"];
    let mut table = Table::new("From a file dropped to its generation live, ms", &head);
    let mut cases = vec![
        ("drop-health (Rust)", fs::read(plugins::official("drop-health")?)?, "1000 (300)"),
        ("scrub-pii (Rust, with a regex engine)", fs::read(plugins::official("scrub-pii")?)?, "1000 (300)"),
    ];
    for (name, guest) in [("JavaScript guest", javascript_guest()?), ("Python guest", python_guest()?)] {
        if let Some(path) = guest.or_skip_optional(name) {
            cases.push((name, fs::read(path)?, "-"));
        }
    }
    for (name, plugin, goal) in cases.into_iter().filter(|(name, ..)| arguments.wants(name)) {
        let size = format!("{:.1}", plugin.len() as f64 / 1e6);
        let mut figures: [Figures; 3] = Default::default();
        for run in 0..u32::try_from(arguments.runs)? {
            for (figures, took) in figures.iter_mut().zip(once(&plugin, run).await?) {
                figures.push(took);
            }
        }
        let [anew, before, back] = figures.each_ref().map(Figures::median);
        let cell = |ms: f64| format!("{ms:.0}");
        let back_goal = must("1000", back < 1000.0);
        table.row([name.to_owned(), size, cell(anew), cell(before), goal.to_owned(), cell(back), back_goal]);
    }
    table.note(
        "The proxy is idle meanwhile; compiling runs at low priority, so it takes longer where spans need the cores. Rolled back: from typing \
         `tracemill rollback` until the version before is live, the start of that command included.",
    );
    Ok(table)
}

/// Milliseconds for a file that nobody has compiled, for the same content again after another plugin stood there, and for rolling that back.
async fn once(plugin: &[u8], run: u32) -> Result<[f64; 3]> {
    let sink = Sink::keeping(Keep::Counts).await?;
    let cache = tempfile::tempdir()?;
    let folder = cache.path().join("compiled");
    // What brings a runtime needs the memory for it.
    let sidecar = json!({ "memory": "256MiB", "deadline": "5s" });
    let setup = Proxy::setup()?.set("plugins.cache.folder", folder.display().to_string());
    let mut proxy = setup.export_grpc("sink", &sink).sidecar("10-swapped", &sidecar)?.start().await?;
    let file = "10-swapped.wasm";
    let content = plugins::renewed(plugin, run);
    let anew = timed(&proxy, file, &content).await?;
    wait::until("it to be kept", async || {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.path().extension().is_some_and(|ending| ending == "cwasm")).then_some(())
    })
    .await?;
    let other = fs::read(plugins::guest("stamp")?)?;
    timed(&proxy, file, &other).await?;
    let before = timed(&proxy, file, &content).await?;
    let back = until_another(&proxy, || {
        let mut command = Command::new(binary()?);
        let ended = command.args(["rollback", "swapped", "--admin", &proxy.ports().admin]).output()?;
        ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        Ok(())
    });
    let back = back.await?;
    if !proxy.stop().await?.success() {
        bail!("the proxy did not end well");
    }
    Ok([anew, before, back])
}

async fn timed(proxy: &Proxy, file: &str, content: &[u8]) -> Result<f64> {
    until_another(proxy, || proxy.install(file, content)).await
}

/// Milliseconds from something that is done until another chain is live.
async fn until_another(proxy: &Proxy, done: impl FnOnce() -> Result<()>) -> Result<f64> {
    let before = proxy.generation().await?;
    let started = Instant::now();
    done()?;
    while proxy.generation().await? == before {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(started.elapsed().as_secs_f64() * 1e3)
}
