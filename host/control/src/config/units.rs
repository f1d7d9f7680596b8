//! Sizes and durations as people write them. A bare number is an error: it would be guessed differently by everyone.

use std::time::Duration;

const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

const DURATIONS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Reads `64MiB` as bytes.
pub fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    if is_number(text) {
        return Err(format!("\"{text}\" has no unit, write {text}MiB or {text}KiB"));
    }
    let (bytes, rest) =
        part(text, &SIZES).ok_or_else(|| format!("\"{text}\" is not a size, write it like 64MiB or 512KiB"))?;
    if rest.is_empty() { Ok(bytes) } else { Err(format!("\"{text}\" is not a size, write it like 64MiB or 512KiB")) }
}

/// Reads `50ms`, `1.5s` or `1m30s`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if is_number(text) {
        return Err(format!("\"{text}\" has no unit, write {text}ms or {text}s"));
    }
    let wrong = || format!("\"{text}\" is not a duration, write it like 50ms, 5s or 1m30s");
    let (mut nanos, mut rest) = part(text, &DURATIONS).ok_or_else(wrong)?;
    while !rest.is_empty() {
        let (more, left) = part(rest, &DURATIONS).ok_or_else(wrong)?;
        nanos = nanos.checked_add(more).ok_or_else(wrong)?;
        rest = left;
    }
    Ok(Duration::from_nanos(nanos))
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// One number with its unit, in the smallest unit, and what follows it.
fn part<'a>(text: &'a str, units: &[(&str, u64)]) -> Option<(u64, &'a str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|&end| end > 0)?;
    let (number, rest) = text.split_at(digits);
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    let (_, factor) = units.iter().find(|(known, _)| known.eq_ignore_ascii_case(unit))?;
    let value = match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(*factor)?,
        Err(_) => number.parse::<f64>().ok().map(|number| number * *factor as f64).filter(|&v| v < 9e18)? as u64,
    };
    Some((value, rest))
}

/// Reads `5%` or `0.1%` as a part of one.
pub fn percent(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let Some(number) = text.strip_suffix('%') else {
        return Err(format!("\"{text}\" is not a share, write it like 5% or 0.1%"));
    };
    let number: f64 =
        number.trim().parse().map_err(|_| format!("\"{text}\" is not a share, write it like 5% or 0.1%"))?;
    Ok(number / 100.0)
}

/// A size as [`size`] would read it, in the largest unit that is exact.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    let exact = |(_, factor): &&(&str, u64)| bytes >= *factor && bytes.is_multiple_of(*factor);
    let (unit, factor) = SIZES[..4].iter().rev().find(exact).unwrap_or(&SIZES[0]);
    format!("{}{unit}", bytes / factor)
}

/// A duration as [`duration`] would read it, in the largest unit that is exact.
#[must_use]
pub fn show_duration(time: Duration) -> String {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    if nanos == 0 {
        return "0s".to_owned();
    }
    let exact = |(_, factor): &&(&str, u64)| nanos >= *factor && nanos.is_multiple_of(*factor);
    let (unit, factor) = DURATIONS.iter().rev().find(exact).unwrap_or(&DURATIONS[0]);
    format!("{}{unit}", nanos / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("1B", 1), ("64MiB", 64 << 20), ("64 mib", 64 << 20), ("1.5KiB", 1536), ("2MB", 2_000_000)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        assert_eq!(size("64").unwrap_err(), "\"64\" has no unit, write 64MiB or 64KiB");
        for text in ["", "MiB", "64MiB7", "64 apples", "-1MiB", "99999999999GiB", "1..5KiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        let ms = Duration::from_millis;
        for (text, time) in
            [("50ms", ms(50)), ("1.5s", ms(1500)), ("1m30s", ms(90_000)), ("2 h", ms(7_200_000)), ("0s", ms(0))]
        {
            assert_eq!(duration(text), Ok(time), "{text}");
        }
        assert_eq!(duration("50").unwrap_err(), "\"50\" has no unit, write 50ms or 50s");
        for text in ["", "s", "5s5", "5 fortnights", "-5s", "999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares() {
        for (text, share) in [("5%", 0.05), (" 0.5 %", 0.005), ("100%", 1.0), ("0%", 0.0)] {
            assert_eq!(percent(text), Ok(share), "{text}");
        }
        for text in ["5", "0.05", "%", "five%", "5%%"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shown_values_read_back() {
        for bytes in [1, 1023, 1024, 64 << 20, 3 << 30] {
            assert_eq!(size(&show_size(bytes)), Ok(bytes));
        }
        for millis in [1, 1500, 60_000, 3_600_000] {
            assert_eq!(duration(&show_duration(Duration::from_millis(millis))), Ok(Duration::from_millis(millis)));
        }
    }
}
