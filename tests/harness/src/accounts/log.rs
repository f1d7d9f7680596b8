//! The accounts that a proxy logs as its last word, when nobody can scrape it any more.

use super::{Account, Accounts, Destination, Door, FORWARDED};
use anyhow::{Context as _, Result};

impl Accounts {
    /// Takes them from a log; nothing where it has none.
    pub fn of_log(log: &str) -> Result<Option<Self>> {
        let mut lines = log.lines().filter(|line| line.contains("final account")).peekable();
        if lines.peek().is_none() {
            return Ok(None);
        }
        let empty = Door::default();
        let forwarded = FORWARDED.map(|(_, items)| Account { items, door: empty, destinations: Vec::new() });
        let mut accounts = Self { door: empty, destinations: Vec::new(), forwarded };
        for line in lines {
            accounts.take(line).with_context(|| format!("line {line:?}"))?;
        }
        Ok(Some(accounts))
    }

    fn take(&mut self, line: &str) -> Result<()> {
        let number = |name: &str| Ok::<u64, anyhow::Error>(field(line, name)?.parse()?);
        let signal = field(line, "signal")?;
        let (door, destinations) = match FORWARDED.iter().position(|(known, _)| *known == signal) {
            Some(at) => (&mut self.forwarded[at].door, &mut self.forwarded[at].destinations),
            None => (&mut self.door, &mut self.destinations),
        };
        if line.contains("of a destination") {
            destinations.push(Destination {
                name: field(line, "destination")?.to_owned(),
                admitted: number("admitted")?,
                sent: number("sent")?,
                rejected: number("rejected")?,
                dropped: number("dropped")?,
                held: number("held")?,
                replayed: number("replayed")?,
                left: number("left")?,
            });
        } else {
            // Of other signals nothing waits for a decision.
            let of_tail = |name: &str| if signal == "traces" { number(name) } else { Ok(0) };
            *door = Door {
                received: number("received")?,
                refused: number("refused")?,
                dropped: number("dropped")?,
                admitted: number("admitted")?,
                replayed: of_tail("replayed")?,
                left: of_tail("left")?,
                held: of_tail("held")?,
            };
        }
        Ok(())
    }
}

/// A field of a line in the text format.
fn field<'l>(line: &'l str, name: &str) -> Result<&'l str> {
    let words = line.split_whitespace().filter_map(|word| word.split_once('='));
    let value = words.rev().find(|(known, _)| *known == name).map(|(_, value)| value.trim_matches('"'));
    value.with_context(|| format!("no {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2026-01-01T00:00:00Z  INFO tracemill: shutting down
2026-01-01T00:00:01Z  INFO control::telemetry::accounts: final account signal=traces received=15 replayed=6 refused=1 dropped=2 admitted=7 left=6 held=5
2026-01-01T00:00:01Z  INFO control::telemetry::accounts: final account of a destination destination=\"a\" signal=traces admitted=7 replayed=0 sent=3 rejected=1 dropped=1 left=2 held=0
2026-01-01T00:00:01Z  INFO control::telemetry::accounts: final account signal=logs received=4 refused=0 dropped=0 admitted=4
2026-01-01T00:00:01Z  INFO control::telemetry::accounts: final account of a destination destination=\"a\" signal=logs admitted=4 replayed=1 sent=5 rejected=0 dropped=0 left=0 held=0
2026-01-01T00:00:01Z  INFO tracemill: everything was delivered
";

    #[test]
    fn the_last_word_is_read_and_its_sums_are_checked() {
        let accounts = Accounts::of_log(LOG).unwrap().unwrap();
        accounts.check().unwrap();
        accounts.check_fan_out().unwrap();
        assert_eq!(
            accounts.door,
            Door { received: 15, replayed: 6, refused: 1, dropped: 2, admitted: 7, left: 6, held: 5 }
        );
        assert!(accounts.is_delivered() && !accounts.is_idle(), "spans are left in the trace buffer");
        assert_eq!(accounts.destination("a").map(|a| (a.sent, a.left)), Some((3, 2)));
        assert_eq!(accounts.destination_of("logs", "a").map(|a| (a.replayed, a.sent)), Some((1, 5)));
        for (from, to) in [
            ("received=15", "received=16"),
            ("held=5", "held=4"),
            ("replayed=6", "replayed=7"),
            ("left=6", "left=5"),
            ("sent=3", "sent=4"),
            ("replayed=1", "replayed=0"),
        ] {
            let wrong = Accounts::of_log(&LOG.replace(from, to)).unwrap().unwrap();
            assert!(wrong.check().is_err(), "{to}");
        }
    }

    #[test]
    fn a_log_without_it_has_none_and_one_that_lacks_a_number_is_an_error() {
        assert!(Accounts::of_log("INFO shutting down").unwrap().is_none());
        for number in ["left=2", "held=5", "replayed=6", "left=6"] {
            assert!(Accounts::of_log(&LOG.replace(number, "")).is_err(), "{number}");
        }
    }
}
