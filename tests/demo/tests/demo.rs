//! The demo as `cargo xtask demo` runs it: it shows what it promises, what it tells people to do takes effect, and its last line
//! adds up.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// What stands for personal data in the traffic of the shop.
const HIDDEN: [&str; 6] = ["[email]", "[iban]", "[phone]", "[card]", "[ipv4]", "v = ?"];

/// How long something may take to show on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The demo as somebody sees it who watches.
struct Demo {
    child: Child,
    lines: Receiver<String>,
    said: String,
}

impl Demo {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tracemill-demo"));
        // It ends by itself if the test does not end it.
        command.args(["--seconds", "600"]).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (seen, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| seen.send(line)));
        Self { child, lines, said: String::new() }
    }

    /// Waits for a line of this kind.
    fn until(&mut self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.said += &line;
            self.said.push('\n');
            if is_it(&line) {
                return line;
            }
        }
        panic!("no {what} in {}", self.said);
    }

    /// Does what a line of the advice says, as people do it in another terminal.
    fn follow(advice: &str) {
        let status = Command::new("sh").args(["-c", advice]).status().expect("a shell");
        assert!(status.success(), "{advice}: {status}");
    }

    /// Ends it as people do.
    fn interrupt(mut self) -> String {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT).expect("it runs");
        let last = self.until("closing line", |line| line.contains("spans came in = "));
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}");
        last
    }
}

/// The number at the end of a line.
fn number(line: &str) -> u64 {
    line.split_whitespace().last().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no number in {line}"))
}

#[test]
fn it_shows_what_plugins_do_and_what_it_tells_people_to_do_takes_effect() {
    let mut demo = Demo::start();
    demo.until("first chain", |line| line.contains("chain generation 1"));
    for part in ["dropped by drop-health", "dropped by sample", "eu-north-1"] {
        demo.until(part, |line| line.contains(part));
    }
    // Which spans are shown is chance; those with personal data are.
    demo.until("personal data that is hidden", |line| HIDDEN.iter().any(|hidden| line.contains(hidden)));

    let drop_in = demo.until("plugin to drop in", |line| line.trim_start().starts_with("cp "));
    let remove = demo.until("plugin to remove", |line| line.trim_start().starts_with("rm "));
    let spoil = demo.until("plugin to break", |line| line.trim_start().starts_with("echo "));
    Demo::follow(&drop_in);
    demo.until("second chain", |line| line.contains("chain generation 2"));
    let stamped = demo.until("stamp on the span that is shown", |line| line.trim_start().starts_with("stamp.version"));
    assert!(stamped.contains("stamp-version-"), "{stamped}");
    Demo::follow(&remove);
    demo.until("third chain", |line| line.contains("chain generation 3"));
    Demo::follow(&spoil);
    let log = backends::root().join("target/demo/log");
    let end = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(&log).expect("its log").contains("plugin cannot be used") {
        assert!(Instant::now() < end, "nobody says that the file is broken");
        std::thread::sleep(Duration::from_millis(20));
    }
    let is_dropped = |line: &str| line.contains("dropped by drop-health");
    let before = number(&demo.until("drops", is_dropped));
    demo.until("more drops: the last good one goes on", |line| is_dropped(line) && number(line) > before);

    let last = demo.interrupt();
    let numbers: Vec<u64> = last.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[received, refused, dropped, sent] = &numbers[..] else { panic!("{last}") };
    assert!(received > 0 && dropped > 0 && sent > 0, "{last}");
    assert_eq!(received, refused + dropped + sent, "{last}");
}
