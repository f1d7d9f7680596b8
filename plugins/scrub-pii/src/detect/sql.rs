//! Literals in SQL statements. One pass that knows strings, numbers, comments and quoted names, of any dialect.

/// Calls `found` with the range of each literal: strings with their quotes, numbers, hexadecimal and bit strings. Names, numbered placeholders and what is in quotes of names stay.
pub fn literals(text: &[u8], mut found: impl FnMut(usize, usize)) {
    let mut at = 0;
    while at < text.len() {
        at = match text[at] {
            b'\'' => {
                let end = string_end(text, at + 1);
                let after = (end + 1).min(text.len());
                found(at, after);
                after
            }
            // A name, in standard SQL and in MySQL's. In MySQL's loose mode a string: then its text is hidden by what else matches.
            quote @ (b'"' | b'`') => skip_past(text, at + 1, &[quote]),
            b'[' if text[at + 1..].first().is_some_and(u8::is_ascii_alphabetic) => skip_past(text, at + 1, b"]"),
            b'-' if text[at + 1..].starts_with(b"-") => comment(text, at + 2, b"\n", &mut found),
            b'/' if text[at + 1..].starts_with(b"*") => comment(text, at + 2, b"*/", &mut found),
            b'$' => match dollar_quoted(text, at) {
                Some((start, end, after)) => {
                    if end > start {
                        found(start, end);
                    }
                    after
                }
                // A placeholder: `$1`.
                None => at + 1 + text[at + 1..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count(),
            },
            // Placeholders by name or number: `:id`, `@p1`, `?1`.
            b':' | b'@' | b'?' => at + 1 + text[at + 1..].iter().take_while(|byte| super::is_word(**byte)).count(),
            b'0'..=b'9' => {
                let end = number_end(text, at);
                found(at, end);
                end
            }
            byte if super::is_word(byte) => {
                at + text[at..].iter().take_while(|byte| super::is_word(**byte) || **byte == b'.').count()
            }
            _ => at + 1,
        };
    }
}

/// Where the string that began before `at` ends: its closing quote, or the end of a statement that was cut off.
fn string_end(text: &[u8], mut at: usize) -> usize {
    while at < text.len() {
        match text[at] {
            // Doubled quotes and backslashes escape.
            b'\'' if text.get(at + 1) == Some(&b'\'') => at += 2,
            b'\\' => at += 2,
            b'\'' => return at,
            _ => at += 1,
        }
    }
    text.len()
}

fn number_end(text: &[u8], at: usize) -> usize {
    let exponent = |i: usize| {
        matches!(text[i], b'+' | b'-')
            && matches!(text[i - 1], b'e' | b'E')
            && text.get(i + 1).is_some_and(u8::is_ascii_digit)
    };
    let mut end = at + 1;
    while end < text.len() && (super::is_word(text[end]) || text[end] == b'.' || exponent(end)) {
        end += 1;
    }
    end
}

fn skip_past(text: &[u8], at: usize, what: &[u8]) -> usize {
    text[at.min(text.len())..]
        .windows(what.len())
        .position(|window| window == what)
        .map_or(text.len(), |i| at + i + what.len())
}

/// Comments carry anything, names of users among it: their text is hidden.
fn comment(text: &[u8], start: usize, end: &[u8], found: &mut impl FnMut(usize, usize)) -> usize {
    let after = skip_past(text, start, end);
    let stop = if text[..after].ends_with(end) { after - end.len() } else { after };
    if text[start..stop].iter().any(|byte| byte.is_ascii_digit() || *byte == b'@' || *byte == b'\'') {
        found(start, stop);
    }
    after
}

/// `$$text$$` and `$tag$text$tag$`: the range of the text, and where it goes on.
fn dollar_quoted(text: &[u8], at: usize) -> Option<(usize, usize, usize)> {
    let tag = text[at + 1..].iter().take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'_').count();
    if text.get(at + 1 + tag) != Some(&b'$') {
        return None;
    }
    let start = at + tag + 2;
    let fence = &text[at..start];
    let after = skip_past(text, start, fence);
    let end = if text[..after].ends_with(fence) && after - fence.len() >= start { after - fence.len() } else { after };
    Some((start, end, after))
}
