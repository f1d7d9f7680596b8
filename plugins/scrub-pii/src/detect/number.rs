//! Numbers that people are known by: payment cards and telephone numbers.

use super::ends_word;

/// The digits of a run, and where it ended.
struct Digits {
    values: [u8; 20],
    len: usize,
    end: usize,
}

/// Reads digits from `at`, with single separators out of `separators` between them.
fn digits(text: &[u8], at: usize, separators: &[u8]) -> Digits {
    let mut run = Digits { values: [0; 20], len: 0, end: at };
    let mut i = at;
    while i < text.len() {
        if text[i].is_ascii_digit() {
            if run.len == run.values.len() {
                // Longer than any number here: mark it so.
                run.len += 1;
                break;
            }
            run.values[run.len] = text[i] - b'0';
            run.len += 1;
            i += 1;
            run.end = i;
        } else if separators.contains(&text[i]) && text.get(i + 1).is_some_and(u8::is_ascii_digit) {
            i += 1;
        } else {
            break;
        }
    }
    run
}

/// A payment card number that begins at `at`: where it ends. 13 to 19 digits, in one piece or in the groups that cards are printed
/// in, with an issuer's prefix and a right check digit.
#[must_use]
pub fn card(text: &[u8], at: usize) -> Option<usize> {
    let run = digits(text, at, b" -");
    let number = run.values.get(..run.len)?;
    if !(13..=19).contains(&number.len()) || !ends_word(text, run.end) || !grouped(&text[at..run.end]) {
        return None;
    }
    // A number that goes on after a dot or a hyphen is a version, an amount or an id.
    if matches!(text.get(run.end), Some(b'.' | b'-')) && text.get(run.end + 1).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    (issued(number) && luhn(number)).then_some(run.end)
}

/// Whether separators, if there are any, part the number as cards do: groups of four (the last may differ), or 4-6-5 and 4-6-4.
fn grouped(text: &[u8]) -> bool {
    let Some(&separator) = text.iter().find(|byte| !byte.is_ascii_digit()) else { return true };
    let mut sizes = [0usize; 8];
    let mut groups = 0;
    for group in text.split(|&byte| byte == separator) {
        if groups == sizes.len() || !group.iter().all(u8::is_ascii_digit) {
            return false;
        }
        sizes[groups] = group.len();
        groups += 1;
    }
    match &sizes[..groups] {
        [4, 6, 4 | 5] => true,
        [rest @ .., last] => rest.iter().all(|&size| size == 4) && (1..=4).contains(last),
        [] => false,
    }
}

/// Whether the number has the prefix and the length of a card issuer.
fn issued(number: &[u8]) -> bool {
    let prefix = |digits: usize| number[..digits].iter().fold(0u32, |sum, &digit| sum * 10 + u32::from(digit));
    let (two, three, four) = (prefix(2), prefix(3), prefix(4));
    match number.len() {
        13 => number[0] == 4,
        14 => matches!(three, 300..=305) || matches!(two, 36 | 38 | 39),
        15 => matches!(two, 34 | 37),
        16 => {
            number[0] == 4
                || matches!(two, 51..=55 | 62 | 65)
                || matches!(four, 2221..=2720 | 3528..=3589 | 6011)
                || matches!(three, 644..=649)
        }
        17..=19 => matches!(four, 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763) || two == 62,
        _ => false,
    }
}

fn luhn(number: &[u8]) -> bool {
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(i, &digit)| match (i % 2, u32::from(digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// A telephone number in international form that begins with the `+` at `at`: where it ends. A country code and 8 to 15 digits in
/// all, with spaces, dots, hyphens and one pair of parentheses.
#[must_use]
pub fn international(text: &[u8], at: usize) -> Option<usize> {
    let mut end = at + 1;
    let (mut count, mut opened, mut i) = (0, 0, at + 1);
    if !matches!(text.get(i), Some(b'1'..=b'9')) {
        return None;
    }
    while i < text.len() {
        match text[i] {
            b'0'..=b'9' => {
                count += 1;
                i += 1;
                end = i;
            }
            b'(' if opened == 0 && count <= 3 => {
                opened = 1;
                i += 1;
            }
            b')' if opened == 1 => {
                opened = 2;
                i += 1;
            }
            b' ' | b'-' | b'.' if text.get(i + 1).is_some_and(|next| next.is_ascii_digit() || *next == b'(') => i += 1,
            b' ' | b'-' if opened == 0 && text.get(i + 1) == Some(&b'(') => i += 1,
            _ => break,
        }
        if count > 15 {
            return None;
        }
    }
    // `+02:00` is a time zone and `1+200000000` a sum; the first has no such count, the second no boundary.
    ((8..=15).contains(&count) && opened != 1 && ends_word(text, end)).then_some(end)
}

/// A telephone number in the North American form, `(415) 555-0132` or `415-555-0132`, that begins at `at`: where it ends.
#[must_use]
pub fn north_american(text: &[u8], at: usize) -> Option<usize> {
    let group = |i: usize, len: usize| {
        let digits = text.get(i..i + len)?;
        digits.iter().all(u8::is_ascii_digit).then_some(digits[0])
    };
    // Area and exchange codes begin with 2 to 9.
    let code = |i: usize| group(i, 3).filter(|first| (b'2'..=b'9').contains(first));
    let (exchange, separator) = if text[at] == b'(' {
        code(at + 1)?;
        if text.get(at + 4) != Some(&b')') {
            return None;
        }
        (if text.get(at + 5) == Some(&b' ') { at + 6 } else { at + 5 }, b'-')
    } else {
        code(at)?;
        let separator = *text.get(at + 3).filter(|byte| b"-.".contains(byte))?;
        (at + 4, separator)
    };
    code(exchange)?;
    let end = exchange + 8;
    if text.get(exchange + 3) != Some(&separator) || group(exchange + 4, 4).is_none() || !ends_word(text, end) {
        return None;
    }
    // Goes on: an id or a version.
    let goes_on =
        matches!(text.get(end), Some(b'-' | b'.')) && text.get(end + 1).is_some_and(u8::is_ascii_alphanumeric);
    (!goes_on).then_some(end)
}
