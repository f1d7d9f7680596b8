//! What a call logs, counts and keeps beside its edits, and what becomes of it when the call fails.

use std::io::Write;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::Mutex;
use pipeline::chain::stage::{Call, FaultKind};
use tracemill_wasm::{StateLimits, StateStore};
use tracing_subscriber::fmt::MakeWriter;

use crate::setup::{Plugin, answer, call};

/// While `tracing` knows a single subscriber, it asks whichever thread comes by first what is wanted, and remembers its answer for all: one that wants
/// nothing beside it has each thread asked.
static OTHER: LazyLock<tracing::Dispatch> =
    LazyLock::new(|| tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default()));

/// What is logged by this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Listens to this thread as long as the answer lives.
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_writer(self.clone())
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .without_time()
            .finish();
        LazyLock::force(&OTHER);
        tracing::subscriber::set_default(subscriber)
    }

    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().clone()).expect("text");
        text.lines().filter(|line| line.contains(" plugin: ")).map(|line| line.trim().to_owned()).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn a_call_that_stands_is_logged_and_counted() {
    let (plugin, log) = (Plugin::default(), Log::default());
    let _listening = log.listen();
    let mut instance = plugin.instance("counts");
    let edits = instance.call(call(30, &[])).expect("edits");
    assert_eq!(answer(&edits), "30 rows, 30 tokens");
    assert_eq!(log.lines(), Vec::<String>::new(), "nobody knows yet whether it stands");
    assert!(!plugin.scrape().contains("tracemill_plugin_custom_total{"));
    instance.settle(true);
    assert_eq!(log.lines(), ["WARN plugin: 30 rows plugin=\"probe\""]);
    assert!(plugin.scrape().contains("tracemill_plugin_custom_total{plugin=\"probe\",name=\"rows\"} 30\n"));
}

#[test]
fn a_call_that_traps_leaves_nothing_behind() {
    let (plugin, log) = (Plugin::default(), Log::default());
    let _listening = log.listen();
    let fault = plugin.instance("counts").call(call(101, &[])).expect_err("too many rows");
    assert_eq!(fault.kind, FaultKind::Trap);
    assert_eq!(log.lines(), Vec::<String>::new());
    let mut next = plugin.instance("counts");
    assert_eq!(answer(&next.call(call(40, &[])).expect("edits")), "40 rows, 40 tokens", "both were given back");
    next.settle(true);
    assert!(plugin.scrape().contains("name=\"rows\"} 40\n"));
}

#[test]
fn a_call_whose_edits_are_refused_leaves_nothing_behind() {
    let plugin = Plugin::default();
    let mut instance = plugin.instance("counts");
    instance.call(call(50, &[])).expect("edits");
    instance.settle(false);
    let edits = plugin.instance("counts").call(call(50, &[])).expect("edits");
    assert_eq!(answer(&edits), "50 rows, 50 tokens");
}

#[test]
fn a_call_that_nobody_settled_leaves_nothing_behind() {
    let plugin = Plugin::default();
    let mut instance = plugin.instance("counts");
    instance.call(call(50, &[])).expect("edits");
    drop(instance);
    let edits = plugin.instance("counts").call(call(10, &[])).expect("edits");
    assert_eq!(answer(&edits), "10 rows, 10 tokens");
}

#[test]
fn instances_share_counters_and_buckets() {
    let plugin = Plugin::default();
    let (mut one, mut other) = (plugin.instance("counts"), plugin.instance("counts"));
    assert_eq!(answer(&one.call(call(30, &[])).expect("edits")), "30 rows, 30 tokens");
    one.settle(true);
    assert_eq!(answer(&other.call(call(30, &[])).expect("edits")), "60 rows, 20 tokens", "the bucket held 50");
    other.settle(true);
}

#[test]
fn values_are_kept_whatever_becomes_of_the_call() {
    let plugin = Plugin::default();
    let mut instance = plugin.instance("keeps");
    assert_eq!(answer(&instance.call(call(1, &[])).expect("edits")), "None false true");
    instance.settle(false);
    let edits = plugin.instance("keeps").call(call(1, &[])).expect("edits");
    assert_eq!(answer(&edits), "Some(5) false true", "it put three bytes, then five");
}

#[test]
fn levels_are_kept_apart() {
    let (plugin, log) = (Plugin::default(), Log::default());
    let _listening = log.listen();
    let mut instance = plugin.instance("says");
    instance.call(call(1, &[])).expect("no edits");
    instance.settle(true);
    let expected = ["DEBUG", "INFO", "WARN", "ERROR"]
        .map(|level| format!("{level} plugin: a line of {} plugin=\"probe\"", level.to_lowercase()));
    assert_eq!(log.lines(), expected);
}

#[test]
fn a_flood_of_lines_is_cut_off_and_said_to_be() {
    let (plugin, log) = (Plugin::default(), Log::default());
    let _listening = log.listen();
    let mut instance = plugin.instance("log-flood");
    // Time enough for a hundred thousand lines on a busy machine.
    let patient = Call { deadline: Duration::from_secs(5), ..call(1, &[]) };
    instance.call(patient).expect("no edits");
    instance.settle(true);
    let lines = log.lines();
    assert_eq!(lines.len(), plugin.options.log_lines + 1);
    assert!(lines[0].starts_with("INFO plugin: line 0 xxx"), "{}", lines[0]);
    let last = lines.last().expect("some");
    assert!(last.contains("a call logged more than its limit") && last.contains("lines=99968"), "{last}");
}

#[test]
fn a_line_of_a_guest_stays_one_line_and_so_does_its_error() {
    let (plugin, log) = (Plugin::default(), Log::default());
    let _listening = log.listen();
    let fault = plugin.instance("forges").call(call(1, &[])).expect_err("an error");
    assert!(fault.message.starts_with("no\\n2026") && !fault.message.contains('\n'), "{fault:?}");
    let mut instance = plugin.instance("mumbles");
    instance.call(call(1, &[])).expect("no edits");
    instance.settle(true);
    assert_eq!(log.lines().len(), 1, "{:?}", log.lines());
    assert!(
        log.lines()[0].starts_with("WARN plugin: done\\n2026-01-01T00:00:00Z  INFO plugin is live"),
        "{:?}",
        log.lines()
    );
    assert!(!log.lines()[0].contains('\u{1b}'));
}

#[test]
fn a_giant_line_is_cut_off() {
    let (plugin, log) = (Plugin::default(), Log::default());
    let _listening = log.listen();
    let mut instance = plugin.instance("log-giant");
    instance.call(call(1, &[])).expect("no edits");
    instance.settle(true);
    let lines = log.lines();
    assert_eq!(lines.len(), 2, "the line, and that it was cut");
    assert!(lines[0].len() < plugin.options.log_bytes + 100);
}

#[test]
fn a_flood_of_counters_is_bounded() {
    let plugin = Plugin::default();
    let mut instance = plugin.instance("name-flood");
    instance.call(call(1, &[])).expect("no edits");
    instance.settle(true);
    assert_eq!(plugin.scrape().matches("tracemill_plugin_custom_total{").count(), 100);
}

#[test]
fn a_flood_of_state_is_bounded_and_the_guest_is_told() {
    let limits = StateLimits { bytes: 1 << 20, ..StateLimits::default() };
    let plugin = Plugin { state: Arc::new(StateStore::new(limits)), ..Plugin::default() };
    let edits = plugin.instance("state-flood").call(call(1, &[])).expect("edits");
    assert_eq!(answer(&edits), "20 kept; the plugin's state is full: it holds its limit of 1048576 bytes");
    assert!(plugin.state.usage().1 <= 1 << 20);
}
