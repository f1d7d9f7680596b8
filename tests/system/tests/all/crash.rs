//! kill -9, in a loop, while spans come in and the back end comes and goes: what was acknowledged arrives, and the process starts again by itself.

use anyhow::{Result, ensure};
use harness::spans::Mix;
use harness::{Behaviour, Generator, Profile, Proxy, Sink, wait};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use std::collections::HashSet;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How often the process is killed; `TRACEMILL_CRASHES` says otherwise.
const CRASHES: usize = 6;
const SENDERS: u64 = 3;
const PER_REQUEST: usize = 20;
/// Spans in a request to the sink, and how many of these are under way.
const BATCH: usize = 200;
const CONCURRENCY: usize = 2;

async fn start(sink: &Sink, folder: &Path) -> Result<Proxy> {
    let queue = json!({ "mode": "durable", "folder": folder, "memory": "64KiB", "size": "256MiB" });
    let setup = Proxy::setup()?
        .export_grpc("sink", sink)
        .set("export.sink.queue", queue)
        .set("export.sink.batch", json!({ "spans": BATCH, "timeout": "5ms" }))
        .set("export.sink.concurrency", CONCURRENCY)
        .set("export.sink.timeout", "1s")
        .set("export.sink.retry", json!({ "initial": "5ms", "max": "50ms" }));
    setup.start().await
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Sends until nothing is answered any more; answers the ids of the spans that were acknowledged.
async fn send(client: harness::Client, seed: u64, acknowledged: Arc<AtomicUsize>) -> Result<Vec<u64>> {
    let mut generator = Generator::new(Profile::Small, seed).mix(Mix::PLAIN);
    let mut ids = Vec::new();
    loop {
        let made = generator.request(PER_REQUEST);
        match client.send(&made.request).await {
            Ok(answer) if answer.is_whole() => {
                acknowledged.fetch_add(made.ids.len(), Ordering::Relaxed);
                ids.extend(made.ids);
            }
            Ok(_) => tokio::task::yield_now().await,
            Err(_) => return Ok(ids),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_arrives_however_often_the_process_is_killed() -> Result<()> {
    let seed = number("TRACEMILL_SEED").unwrap_or_else(rand::random);
    let crashes = number("TRACEMILL_CRASHES").map_or(CRASHES, |number| number as usize);
    println!("TRACEMILL_SEED={seed} TRACEMILL_CRASHES={crashes}");
    let mut rng = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir()?;
    let sink = Sink::start().await?;
    let mut acknowledged = HashSet::new();
    for crash in 0..crashes {
        // What the sink does while the proxy starts and reads back, and what it does then.
        let behaviours = [
            Behaviour::Accept,
            Behaviour::Unavailable(None),
            Behaviour::Break,
            Behaviour::Hang,
            Behaviour::Slow(Duration::from_millis(3)),
        ];
        sink.behave(behaviours[rng.random_range(0..behaviours.len())].clone());
        let mut proxy = start(&sink, folder.path()).await?;
        let count = Arc::new(AtomicUsize::new(0));
        let client = proxy.grpc();
        let mut senders = tokio::task::JoinSet::new();
        for sender in 0..SENDERS {
            let seed = seed.wrapping_add((crash as u64 * SENDERS + sender).wrapping_mul(0x9e37_79b9));
            senders.spawn(send(client.clone(), seed, Arc::clone(&count)));
        }
        // Killed at some span: while records are written, sent, read back or marked as done.
        for _ in 0..rng.random_range(1..4) {
            let until = count.load(Ordering::Relaxed) + rng.random_range(1..2000);
            wait::until("spans to be acknowledged", async || (count.load(Ordering::Relaxed) >= until).then_some(()))
                .await?;
            sink.behave(behaviours[rng.random_range(0..behaviours.len())].clone());
        }
        proxy.kill().await?;
        while let Some(ids) = senders.join_next().await {
            acknowledged.extend(ids??);
        }
    }
    sink.behave(Behaviour::Accept);
    let mut proxy = start(&sink, folder.path()).await?;
    let accounts = proxy.settled().await?;
    let metrics = proxy.metrics().await?;
    let of = |name: &str| metrics.sum(name, &[]) as u64;
    let (missing, twice) = sink.arrivals(|arrivals| {
        let missing = acknowledged.iter().filter(|&id| !arrivals.ids.contains_key(id)).count();
        let twice: u64 = arrivals.ids.values().map(|arrived| u64::from(arrived.times) - 1).sum();
        (missing, twice)
    });
    println!(
        "{} acknowledged, {} arrived, {twice} of them twice or more, {} replayed by the last start",
        acknowledged.len(),
        sink.spans() - twice,
        of("tracemill_export_replayed_spans_total"),
    );
    ensure!(missing == 0, "seed {seed}: {missing} of {} acknowledged spans never arrived", acknowledged.len());
    ensure!(of("tracemill_export_quarantined_records_total") == 0, "seed {seed}: a crash is no damage: {accounts:?}");
    // What was under way when it was killed, and what had been answered just then. The sink takes requests that hung when the proxy
    // was killed once it is told to accept, and each may have been sent again meanwhile.
    let most = (crashes * CONCURRENCY * (BATCH + PER_REQUEST) * 3) as u64;
    ensure!(twice <= most, "seed {seed}: {twice} spans came twice, more than {most}");
    wait::until("the queue's files to be gone", async || {
        let metrics = proxy.metrics().await.ok()?;
        (metrics.sum("tracemill_export_queue_disk_bytes", &[]) == 0.0).then_some(())
    })
    .await?;
    ensure!(proxy.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_restart_in_good_order_delivers_what_the_first_run_could_not() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sink = Sink::start().await?;
    sink.behave(Behaviour::Unavailable(None));
    let mut proxy = start(&sink, folder.path()).await?;
    let made = Generator::new(Profile::Medium, 81).mix(Mix::PLAIN).request(700);
    assert!(proxy.grpc().send(&made.request).await?.is_whole());
    // On disk: nothing is lost, so the end is a good one.
    assert!(proxy.stop().await?.success(), "{}", proxy.log());
    assert_eq!(sink.spans(), 0);
    sink.behave(Behaviour::Accept);
    let mut proxy = start(&sink, folder.path()).await?;
    sink.wait_for_spans(700).await?;
    let accounts = proxy.settled().await?;
    assert_eq!(accounts.destination("sink").map(|sink| (sink.replayed, sink.sent)), Some((700, 700)));
    assert!(proxy.stop().await?.success());
    Ok(())
}

/// Starts a proxy with a queue in this folder, as this user where one is named; it must end, and say why.
fn cannot_start(place: &Path, binary: &Path, queue: &Path, user: Option<u32>) -> Result<String> {
    let config = place.join("tracemill.yaml");
    let queue = json!({ "mode": "durable", "folder": queue });
    let whole = json!({
        "receive": { "grpc": { "listen": "127.0.0.1:0" }, "http": { "listen": "127.0.0.1:0" } },
        "admin": { "listen": "127.0.0.1:0" },
        "export": { "tempo": { "grpc": "http://127.0.0.1:1", "queue": queue } },
    });
    std::fs::write(&config, whole.to_string())?;
    let mut command = Command::new(binary);
    command.arg("run").arg("--config").arg(&config).current_dir(place);
    if let Some(user) = user {
        command.uid(user).gid(user).env("HOME", place).env_remove("XDG_CACHE_HOME");
    }
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1), "{}: {said}", output.status);
    Ok(said)
}

#[test]
fn a_folder_that_cannot_be_used_is_named_with_the_reason_and_what_to_do() -> Result<()> {
    let place = tempfile::tempdir()?;
    let file = place.path().join("a-file");
    std::fs::write(&file, "")?;
    let said = cannot_start(place.path(), &harness::proxy::binary()?, &file.join("queue"), None)?;
    for part in ["`tempo`", "a-file/queue", "queue.folder", "Not a directory"] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    Ok(())
}

#[test]
fn a_folder_that_this_user_may_not_write_to_is_named_with_what_to_do() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (queue, binary) = (place.path().join("queue"), place.path().join("tracemill"));
    // No permission binds root: then it runs as somebody else, who reaches all but the folder, wherever the checkout is.
    let somebody = (std::fs::metadata("/proc/self")?.uid() == 0).then_some(65_534);
    std::fs::copy(harness::proxy::binary()?, &binary)?;
    std::fs::set_permissions(place.path(), Permissions::from_mode(0o755))?;
    std::fs::create_dir(&queue)?;
    for mode in [0o500, 0o000] {
        std::fs::set_permissions(&queue, Permissions::from_mode(mode))?;
        let said = cannot_start(place.path(), &binary, &queue, somebody)?;
        let folder = queue.display().to_string();
        let advice = "make it a folder that this user may read and write, or name another in `queue.folder`";
        for part in ["`tempo`", &folder, "Permission denied", advice] {
            assert!(said.contains(part), "{mode:o}: no {part} in {said}");
        }
    }
    // So that it can be removed.
    std::fs::set_permissions(&queue, Permissions::from_mode(0o700))?;
    Ok(())
}
