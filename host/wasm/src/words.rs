//! What guests say, as it may stand in a log line or a status: on one line, so that no guest writes lines in the host's name, nor to a terminal
//! what that takes for commands.

use std::borrow::Cow;

/// The text with its control characters escaped.
pub(crate) fn on_one_line(text: &str) -> Cow<'_, str> {
    // Line and paragraph separators end lines in some viewers.
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if !text.contains(breaks) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if breaks(c) { line.extend(c.escape_debug()) } else { line.push(c) }
    }
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_one_and_terminals_are_told_nothing() {
        assert!(matches!(on_one_line("plain, \u{e4}\u{1f980}"), Cow::Borrowed(_)));
        let forged = "done\n2026-01-01 INFO plugin is live\r\u{1b}[2J\u{2028}\u{9b}x";
        let said = on_one_line(forged);
        assert_eq!(said, "done\\n2026-01-01 INFO plugin is live\\r\\u{1b}[2J\\u{2028}\\u{9b}x");
    }
}
