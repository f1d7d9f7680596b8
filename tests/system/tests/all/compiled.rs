//! What was compiled once is not compiled again: over restarts, by content, and never from where others could have put it.

use anyhow::{Context as _, Result, ensure};
use harness::{Proxy, plugins, wait};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};
use system::stage;

const PLUGINS: [&str; 2] = ["drop-health", "enrich"];

async fn start(cache: &Path) -> Result<Proxy> {
    let setup = Proxy::setup()?.set("plugins.cache.folder", cache.display().to_string());
    let setup = PLUGINS.iter().try_fold(setup, |setup, name| setup.plugin(&format!("10-{name}"), name))?;
    setup.start().await
}

/// Which plugins came compiled.
async fn cached(proxy: &Proxy) -> Result<Vec<bool>> {
    let status = proxy.plugin_status().await?;
    let of = |name| {
        stage(&status, name)
            .and_then(|stage| stage["took"]["cached"].as_bool())
            .with_context(|| format!("{name}: {status:#}"))
    };
    PLUGINS.iter().map(|name| of(name)).collect()
}

fn kept(cache: &Path) -> Vec<fs::DirEntry> {
    let entries = fs::read_dir(cache).into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "cwasm")).collect()
}

#[tokio::test]
async fn a_restart_compiles_nothing_that_was_compiled_before() -> Result<()> {
    let place = tempfile::tempdir()?;
    let cache = place.path().join("compiled");
    let mut proxy = start(&cache).await?;
    ensure!(cached(&proxy).await? == [false, false]);
    wait::until("both to be kept", async || (kept(&cache).len() == PLUGINS.len()).then_some(())).await?;
    for entry in kept(&cache) {
        ensure!(
            entry.metadata()?.permissions().mode() & 0o777 == 0o600,
            "{} is open to others",
            entry.path().display()
        );
    }
    ensure!(proxy.stop().await?.success());

    // One of the two is not what was written: that one is compiled anew, and works.
    let damaged = kept(&cache)[0].path();
    let mut content = fs::read(&damaged)?;
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(&damaged, content)?;
    let mut proxy = start(&cache).await?;
    let known = cached(&proxy).await?;
    ensure!(known.iter().filter(|&&known| known).count() == 1, "{known:?}");
    ensure!(proxy.log().contains("cannot be used: it is compiled anew"), "{}", proxy.log());
    wait::until("both to be kept again", async || (kept(&cache).len() == PLUGINS.len()).then_some(())).await?;
    ensure!(proxy.stop().await?.success());

    let mut proxy = start(&cache).await?;
    ensure!(cached(&proxy).await? == [true, true]);
    ensure!(proxy.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_folder_that_others_can_write_to_is_refused_with_what_to_do() -> Result<()> {
    let place = tempfile::tempdir()?;
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777))?;
    let Err(error) = start(place.path()).await else { anyhow::bail!("it was taken") };
    let said = format!("{error:#}");
    for part in ["plugins.cache.folder", "is open to other users", "chmod 0700"] {
        ensure!(said.contains(part), "no {part} in {said}");
    }
    Ok(())
}

/// How many plugins there are in the restart that must be quick, and how many of them in Python.
const MANY: u32 = 20;
const IN_PYTHON: u32 = 2;
/// From the process's start until spans are taken.
const QUICK: Duration = Duration::from_secs(2);

#[tokio::test]
#[ignore = "long: cargo xtask test --full"]
async fn a_restart_with_twenty_plugins_of_which_two_are_in_python_takes_less_than_two_seconds() -> Result<()> {
    let python = backends::python_guest()?.or_fail("a restart with guests in Python")?;
    let place = tempfile::tempdir()?;
    let cache = place.path().join("compiled");
    let (python, rust) = (fs::read(python)?, fs::read(plugins::official("scrub-pii")?)?);
    let with_all = || {
        let mut setup = Proxy::setup()?.set("plugins.cache.folder", cache.display().to_string());
        for number in 0..MANY {
            let (kind, plugin) = if number < IN_PYTHON { ("python", &python) } else { ("scrub", &rust) };
            let file = format!("{}-{kind}-{number}", 10 + number);
            setup = setup.file(&format!("{file}.wasm"), &plugins::renewed(plugin, number))?;
            if kind == "python" {
                setup = setup.sidecar(&file, &serde_json::json!({ "memory": "256MiB", "deadline": "5s" }))?;
            }
        }
        Ok::<_, anyhow::Error>(setup)
    };
    // Compiling all of that once takes longer than a start may.
    let mut proxy = with_all()?.start_unready().await?;
    let all_kept = async || (kept(&cache).len() == MANY as usize).then_some(());
    wait::until_within(Duration::from_mins(8), "all to be kept", all_kept).await?;
    ensure!(proxy.stop().await?.success());
    let setup = with_all()?;
    let begun = Instant::now();
    let mut proxy = setup.start().await?;
    let took = begun.elapsed();
    eprintln!("a restart with {MANY} plugins, {IN_PYTHON} of them in Python, took {took:?}");
    let status = proxy.plugin_status().await?;
    let stages = status["stages"].as_array().context("stages")?;
    let is_so = |stage: &&serde_json::Value| stage["state"] == "live" && stage["took"]["cached"] == true;
    ensure!(stages.iter().filter(is_so).count() == MANY as usize, "{status:#}");
    ensure!(took < QUICK, "{took:?}");
    ensure!(proxy.stop().await?.success());
    Ok(())
}
