//! Secrets in URLs: user name and password before the host, and the values of sensitive parameters.

use super::secret;

/// How many bytes of an authority are looked at.
pub(super) const LONGEST_AUTHORITY: usize = 512;

/// The password of the URL whose `://` begins at `at`: its range.
#[must_use]
pub fn password(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let start = at + 3;
    let authority = text[start..]
        .iter()
        .take(LONGEST_AUTHORITY)
        .take_while(|byte| !byte.is_ascii_whitespace() && !b"/?#\"'<>".contains(byte))
        .count();
    let authority = &text[start..start + authority];
    // The last `@` parts the credentials from the host: passwords do contain the sign.
    let at_sign = authority.iter().rposition(|&byte| byte == b'@')?;
    let colon = authority[..at_sign].iter().position(|&byte| byte == b':')?;
    (colon + 1 < at_sign).then_some((start + colon + 1, start + at_sign))
}

/// The values of a query string, one after another: calls `found` with the range of each that is to be hidden. `query` is the range
/// of the string behind the `?`.
pub fn values(text: &[u8], query: std::ops::Range<usize>, all: bool, mut found: impl FnMut(usize, usize)) {
    let mut at = query.start;
    while at < query.end {
        let len = text[at..query.end].iter().position(|byte| b"&;".contains(byte)).unwrap_or(query.end - at);
        let parameter = &text[at..at + len];
        if let Some(equals) = parameter.iter().position(|&byte| byte == b'=') {
            let (name, value) = (&parameter[..equals], &parameter[equals + 1..]);
            if !value.is_empty() && (all || is_sensitive(name)) {
                found(at + equals + 1, at + len);
            }
        }
        at += len + 1;
    }
}

/// Names of parameters whose values are personal or secret. In lower case.
const SENSITIVE: [&str; 32] = [
    "auth",
    "authorization",
    "code",
    "credential",
    "dob",
    "birthdate",
    "email",
    "mail",
    "e-mail",
    "username",
    "user",
    "login",
    "name",
    "firstname",
    "first_name",
    "lastname",
    "last_name",
    "fullname",
    "phone",
    "tel",
    "mobile",
    "ssn",
    "iban",
    "card",
    "cardnumber",
    "card_number",
    "cvv",
    "sig",
    "signature",
    "x-amz-signature",
    "x-amz-security-token",
    "x-goog-signature",
];

fn is_sensitive(name: &[u8]) -> bool {
    secret::is_secret_name(name) || SENSITIVE.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Where the query string of a URL or of a request target stands; `None` where there is none.
#[must_use]
pub fn query_of(text: &[u8]) -> Option<std::ops::Range<usize>> {
    let mark = text.iter().position(|&byte| byte == b'?')?;
    let end = text[mark..]
        .iter()
        .position(|byte| *byte == b'#' || byte.is_ascii_whitespace())
        .map_or(text.len(), |len| mark + len);
    (mark + 1 < end).then_some(mark + 1..end)
}
