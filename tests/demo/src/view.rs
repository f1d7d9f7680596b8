//! The live table.

use crate::changed::Difference;
use harness::accounts::Accounts;
use harness::metrics::Metrics;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

const SHOWN: usize = 6;
const WIDTH: usize = 44;

/// Redraws itself on a terminal; elsewhere it prints one table after another.
pub struct View {
    plugins: PathBuf,
    guest: Option<PathBuf>,
    drawn: usize,
}

impl View {
    /// A table for a proxy whose plugins are below `folder`; `guest` is a plugin that may be dropped in.
    pub fn new(folder: &Path, guest: Option<PathBuf>) -> Self {
        Self { plugins: folder.join("plugins"), guest, drawn: 0 }
    }

    /// Draws it.
    pub fn show(&mut self, metrics: &Metrics, changed: &[Difference], seconds: u64) {
        let text = self.text(metrics, changed, seconds);
        let mut out = String::new();
        if self.drawn > 0 && std::io::stdout().is_terminal() {
            write!(out, "\x1b[{}A\x1b[J", self.drawn).expect("a String takes any text");
        }
        self.drawn = text.lines().count();
        out.push_str(&text);
        print(&out);
    }

    fn text(&self, metrics: &Metrics, changed: &[Difference], seconds: u64) -> String {
        let mut lines = vec![format!(
            "tracemill demo   {seconds} s   chain generation {}",
            metrics.sum("tracemill_chain_generation", &[])
        )];
        lines.push(String::new());
        lines.extend(counts(metrics));
        lines.push(String::new());
        lines.push(format!("{:<32}  {:<WIDTH$}  {}", "one span", "before", "after"));
        lines.extend(changed.iter().take(SHOWN).map(|(place, before, after)| {
            format!("  {:<30}  {:<WIDTH$}  {}", short(place, 30), short(before, WIDTH), short(after, WIDTH))
        }));
        lines.extend(std::iter::repeat_n(String::new(), SHOWN.saturating_sub(changed.len())));
        lines.extend(self.advice());
        lines.join("\n") + "\n"
    }

    /// What to do next.
    fn advice(&self) -> Vec<String> {
        let folder = self.plugins.display();
        let mut lines = vec![String::new(), "The folder is the chain. In another terminal:".to_owned()];
        if let Some(guest) = &self.guest {
            lines.push(format!(
                "  cp {} {folder}/50-stamp.wasm    # a new plugin: every span gets `stamp.version`",
                guest.display()
            ));
        }
        lines.push(format!("  rm {folder}/90-sample.wasm           # nothing is sampled away any more"));
        lines.push(format!("  echo broken > {folder}/10-drop-health.wasm   # the last good one goes on"));
        lines.push("Ctrl-C ends it.".to_owned());
        lines
    }
}

fn counts(metrics: &Metrics) -> Vec<String> {
    let line = |name: &str, count: f64| format!("{name:<32}  {count:>12}");
    let mut lines = vec![line("spans that came in", metrics.sum("tracemill_receive_spans_total", &[]))];
    for sample in metrics.of("tracemill_dropped_spans_total").filter(|sample| sample.value > 0.0) {
        let plugin = sample.label("plugin").unwrap_or_default();
        let reason = sample.label("reason").unwrap_or_default();
        lines.push(line(&format!("  dropped by {plugin}: {reason}"), sample.value));
    }
    let refused = metrics.sum("tracemill_refused_spans_total", &[]);
    if refused > 0.0 {
        lines.push(line("  refused to their senders", refused));
    }
    lines.push(line("spans that went out", metrics.sum("tracemill_export_sent_spans_total", &[])));
    lines
}

/// The last word: everything that came in is accounted for.
pub fn goodbye(accounts: &Accounts) {
    let door = accounts.door;
    print(&format!(
        "\n{} spans came in = {} refused + {} dropped by plugins + {} sent\n",
        door.received, door.refused, door.dropped, door.admitted
    ));
}

fn short(text: &str, width: usize) -> String {
    let line = text.replace('\n', " ");
    if line.chars().count() <= width {
        return line;
    }
    line.chars().take(width - 3).collect::<String>() + "..."
}

fn print(text: &str) {
    let mut out = std::io::stdout();
    // A closed standard output is no reason to stop the traffic.
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}
