//! Disks that are full or damaged, and full queues.

use super::*;

#[tokio::test]
async fn a_full_disk_refuses_retryably_goes_on_draining_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::new([], HANG);
    let mut config = durable("back", &sink, folder.path()).await;
    // A policy about full queues is none about broken disks.
    config.queue.on_full = OnFull::DropNewest;
    let bench = Bench::new(vec![config.clone()]);
    bench.send_durably(parcel(0..10)).await.unwrap();
    bench.disk_is_full(0, true);
    let refusal = bench.send_durably(parcel(10..20)).await.unwrap_err();
    assert!(refusal.is_retryable());
    assert!(refusal.message.contains("`back`") && refusal.message.contains("no storage space"), "{}", refusal.message);
    // The next is refused before any plugin runs for it.
    assert!(bench.exports.is_full().is_some_and(|refusal| refusal.is_retryable()));
    assert_eq!(bench.of("refused_spans_total", "back"), 10);
    let status = &bench.exports.status()[0];
    assert!(status.trouble.as_ref().unwrap().contains("cannot be written"), "{status:?}");
    bench.assert_sum("back");
    // Draining goes on.
    let alive = Sink::new([], Reply::Ok);
    config.endpoints = endpoint(Protocol::Http, alive.listen().await).into();
    bench.exports.reconfigure(vec![config]).unwrap();
    alive.until(|seen| seen.taken.len() == 10).await;
    bench.until_quiet("back").await;
    bench.disk_is_full(0, false);
    until(async || bench.send_durably(parcel(20..30)).await.is_ok()).await;
    alive.until(|seen| seen.taken.len() == 20).await;
    assert!(!alive.seen().taken.contains_key(&10), "what was refused is sent by its sender");
    bench.until_quiet("back").await;
    assert_eq!(bench.exports.status()[0].trouble, None);
}

#[tokio::test]
async fn what_one_disk_cannot_take_no_destination_gets() {
    let (good, bad) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let sinks = [Sink::new([], Reply::Ok), Sink::new([], Reply::Ok), Sink::new([], Reply::Ok)];
    let configs = vec![
        durable("good", &sinks[0], good.path()).await,
        quick("memory", endpoint(Protocol::Http, sinks[1].listen().await)),
        durable("bad", &sinks[2], bad.path()).await,
    ];
    let bench = Bench::new(configs);
    bench.disk_is_full(2, true);
    assert!(bench.send_durably(parcel(0..10)).await.unwrap_err().message.contains("`bad`"));
    bench.disk_is_full(2, false);
    until(async || bench.send_durably(parcel(10..20)).await.is_ok()).await;
    for (sink, name) in sinks.iter().zip(["good", "memory", "bad"]) {
        let seen = sink.until(|seen| seen.taken.len() == 10).await;
        assert!(seen.taken.contains_key(&10), "{name}");
        bench.until_quiet(name).await;
        assert_eq!(bench.of("admitted_spans_total", name), 10);
    }
    // Not after a restart either.
    bench.spool(0).store().flush();
    let late = Sink::new([], Reply::Ok);
    let again = Bench::new(vec![durable("good", &late, crashed(good.path()).path()).await]);
    assert_eq!(again.of("replayed_spans_total", "good"), 0);
}

#[tokio::test]
async fn damaged_records_are_counted_and_the_others_are_sent() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::new([], HANG);
    let bench = Bench::new(vec![durable("back", &sink, folder.path()).await]);
    for n in 0..10 {
        bench.send_durably(noise(n * 10..n * 10 + 10, 50)).await.unwrap();
    }
    let after = crashed(folder.path());
    let mut segments = std::fs::read_dir(after.path().join("traces")).unwrap().map(|entry| entry.unwrap().path());
    let segment = segments.find(|path| path.extension().is_some_and(|end| end == "seg")).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    // In the payload of one in the middle: records are not equally long.
    let heads: Vec<usize> = memchr::memmem::find_iter(&bytes, b"tmR1").collect();
    bytes[usize::midpoint(heads[5], heads[6])] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let sink = Sink::new([], Reply::Ok);
    let bench = Bench::new(vec![durable("back", &sink, after.path()).await]);
    sink.until(|seen| seen.taken.len() == 90).await;
    bench.until_quiet("back").await;
    assert_eq!((bench.of_traces("quarantined_records_total", "back"), bench.dropped("back", "corrupt")), (1, 10));
    assert!(after.path().join("traces/quarantine").is_dir());
    bench.until_disk_is_free("back").await;
}

#[tokio::test]
async fn a_full_queue_on_disk_does_as_its_policy_says() {
    for mode in MODES {
        for policy in [OnFull::Refuse, OnFull::DropNewest, OnFull::DropOldest] {
            filled(mode, policy).await;
        }
    }
}

async fn filled(mode: Mode, policy: OnFull) {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::new([], HANG);
    let mut config = on_disk("back", &sink, mode, folder.path()).await;
    config.concurrency = 1;
    config.queue.on_full = policy;
    config.queue.max_bytes = 100_000;
    config.queue.memory_bytes = 50_000;
    config.batch.max_bytes = 2000;
    let bench = Bench::new(vec![config.clone()]);
    let mut refused = 0;
    for n in 0..200 {
        match bench.send_to_disk(mode, noise(n * 10..n * 10 + 10, 100)).await {
            Ok(()) => {}
            Err(refusal) => {
                assert!(refusal.is_retryable());
                refused += 10;
            }
        }
        if n == 0 {
            sink.until(|seen| seen.requests.len() == 1).await;
        }
        // What is written takes less of the queue than what is to be: a sender that outruns the writer finds room later.
        bench.spool(0).store().flush();
        // What is dropped is dropped by and by where it has to be read first; who is faster than that is refused room.
        let accounted = || bench.of("held_spans", "back") + bench.dropped("back", "queue_full") + refused;
        until(async || bench.of_traces("queue_bytes", "back") <= 100_000 && accounted() == (n as i64 + 1) * 10).await;
    }
    bench.assert_sum("back");
    let held = bench.of("held_spans", "back");
    assert!(held > 300 && held < 1500, "{policy:?} {held}");
    assert_eq!(refused > 0, policy == OnFull::Refuse);
    // What is left is what the policy means to keep.
    let alive = Sink::new([], Reply::Ok);
    config.endpoints = endpoint(Protocol::Http, alive.listen().await).into();
    bench.exports.reconfigure(vec![config]).unwrap();
    bench.until_quiet("back").await;
    let taken = alive.seen().taken;
    // The first is on its way from the beginning. Of the newest a single one may fit where those before it, a few bytes larger, have not.
    let (oldest, newest) =
        ((10..510).filter(|n| taken.contains_key(n)), (1500..2000).filter(|n| taken.contains_key(n)));
    if policy == OnFull::DropOldest {
        assert_eq!((oldest.count(), taken.contains_key(&1999)), (0, true));
    } else {
        assert_eq!(oldest.count(), 500, "{policy:?}");
        assert!(newest.count() <= 10, "{policy:?}");
    }
}
