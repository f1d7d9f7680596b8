//! `tracemill promote NAME` and `tracemill rollback NAME`: another version of a plugin counts.

use super::admin;
use crate::cli;
use crate::command::{complain, say};
use crate::end::End;

/// Asks for the change, and says what has happened.
pub fn change(what: &str, options: &cli::Change) -> End {
    // A name is part of a path here, and may hold anything.
    let name: String = options.plugin.bytes().map(escaped).collect();
    match admin::ask(&options.admin, http::Method::POST, &format!("/plugins/{name}/{what}")) {
        Ok((code, text)) if code.is_success() => say(text.trim_end()),
        Ok((_, text)) => {
            complain(text.trim_end());
            End::Failed
        }
        Err(error) => {
            complain(&admin::no_answer(&options.admin, &error));
            End::Failed
        }
    }
}

fn escaped(byte: u8) -> String {
    let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if is_plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_escaped() {
        let escaped = |name: &str| name.bytes().map(super::escaped).collect::<String>();
        assert_eq!(escaped("10-scrub-pii.v2"), "10-scrub-pii.v2");
        assert_eq!(escaped("a/../b c"), "a%2F..%2Fb%20c");
    }
}
