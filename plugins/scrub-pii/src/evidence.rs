//! What the texts of a span must hold for anything to be found in them. The host is told, because it sees that many times faster
//! than the plugin could look, and spans that hold none of it never come in.

use crate::detect::{Kind, Kinds};

/// What a detector finds has an `@` between two characters of an address; `@scope/package` has not.
const EMAIL: &str = r"(?-u)[0-9A-Za-z!#$&*+^_~%\x80-\xff-]@[0-9A-Za-z\x80-\xff]";
const JWT: &str = "eyJ";
const URL_PASSWORD: &str = r"(?s-u)://.*@";

/// Regular expressions, one of which matches every text in which one of the kinds is found by its form. `None` where a kind has no
/// mark that is seldom: digits stand in almost every span.
#[must_use]
pub fn of(kinds: Kinds) -> Option<Vec<&'static str>> {
    let wanted = Kind::ALL.into_iter().filter(|&kind| kinds.has(kind));
    wanted
        .filter_map(|kind| match kind {
            Kind::Email => Some(Some(EMAIL)),
            Kind::Jwt => Some(Some(JWT)),
            Kind::UrlPassword => Some(Some(URL_PASSWORD)),
            // Not found by their form: the settings say what they are.
            Kind::Pattern | Kind::Key => None,
            _ => Some(None),
        })
        .collect()
}
