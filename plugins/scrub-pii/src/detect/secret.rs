//! Credentials: JSON Web Tokens, `Authorization` values, and the keys that well-known services issue.

use super::ends_word;

fn base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn run(text: &[u8], at: usize, of: impl Fn(u8) -> bool) -> usize {
    text[at.min(text.len())..].iter().take_while(|&&byte| of(byte)).count()
}

/// A JSON Web Token that begins with the `e` at `at`: where it ends. A header that is a JSON object (`eyJ`), a payload, and a
/// signature, which an unsigned token leaves empty.
#[must_use]
pub fn jwt(text: &[u8], at: usize) -> Option<usize> {
    jwt_from(text, at).ok()
}

/// As [`jwt`]; where there is none, up to where none can begin, because it would have the same header's end.
pub fn jwt_from(text: &[u8], at: usize) -> Result<usize, usize> {
    if !text[at..].starts_with(b"eyJ") {
        return Err(at);
    }
    let header = at + run(text, at, base64url);
    if header - at < 10 || text.get(header) != Some(&b'.') {
        return Err(header);
    }
    let payload = header + 1 + run(text, header + 1, base64url);
    if payload - header < 10 || text.get(payload) != Some(&b'.') {
        return Err(header);
    }
    Ok(payload + 1 + run(text, payload + 1, base64url))
}

/// The credential of `Bearer …` or `Basic …` at `at`: the range of what follows the scheme.
#[must_use]
pub fn authorization(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let rest = &text[at..];
    let scheme = [&b"bearer "[..], b"basic "]
        .into_iter()
        .find(|scheme| rest.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme)))?;
    let start = at + scheme.len();
    let end = start + run(text, start, |byte| base64url(byte) || b"._~+/=".contains(&byte));
    let credential = &text[start..end];
    // "bearer token expired" and "basic authentication" are prose: a credential is long and no plain word.
    let plain_word = credential.iter().all(u8::is_ascii_lowercase);
    (credential.len() >= 8 && !plain_word).then_some((start, end))
}

/// What may follow a prefix of an issued key.
#[derive(Clone, Copy)]
enum Tail {
    /// At least so many of letters, digits, `-` and `_`.
    Url(usize),
    /// Exactly so many capitals and digits.
    Capitals(usize),
}

/// Prefixes that services give their keys so that they can be found.
const PREFIXES: [(&[u8], Tail); 36] = [
    (b"sk_live_", Tail::Url(16)),
    (b"sk_test_", Tail::Url(16)),
    (b"rk_live_", Tail::Url(16)),
    (b"rk_test_", Tail::Url(16)),
    (b"pk_live_", Tail::Url(16)),
    (b"whsec_", Tail::Url(20)),
    (b"sk-ant-", Tail::Url(20)),
    (b"sk-proj-", Tail::Url(20)),
    (b"sk-", Tail::Url(40)),
    (b"AKIA", Tail::Capitals(16)),
    (b"ASIA", Tail::Capitals(16)),
    (b"AIza", Tail::Url(35)),
    (b"ya29.", Tail::Url(20)),
    (b"GOCSPX-", Tail::Url(20)),
    (b"ghp_", Tail::Url(36)),
    (b"gho_", Tail::Url(36)),
    (b"ghu_", Tail::Url(36)),
    (b"ghs_", Tail::Url(36)),
    (b"ghr_", Tail::Url(36)),
    (b"github_pat_", Tail::Url(22)),
    (b"glpat-", Tail::Url(20)),
    (b"gldt-", Tail::Url(20)),
    (b"xoxb-", Tail::Url(20)),
    (b"xoxp-", Tail::Url(20)),
    (b"xoxa-", Tail::Url(20)),
    (b"xoxs-", Tail::Url(20)),
    (b"xapp-", Tail::Url(20)),
    (b"npm_", Tail::Url(36)),
    (b"pypi-", Tail::Url(40)),
    (b"hf_", Tail::Url(30)),
    (b"dop_v1_", Tail::Url(40)),
    (b"shpat_", Tail::Url(32)),
    (b"shpss_", Tail::Url(32)),
    (b"SG.", Tail::Url(20)),
    (b"hvs.", Tail::Url(20)),
    (b"dapi", Tail::Url(32)),
];

/// Among so many characters of a key there is a digit. That bounds what a text of nothing but prefixes costs.
const DIGIT_WITHIN: usize = 128;

/// An issued key that begins at `at`: where it ends.
#[must_use]
pub fn issued(text: &[u8], at: usize) -> Option<usize> {
    let rest = &text[at..];
    PREFIXES.iter().find_map(|(prefix, tail)| {
        if !rest.starts_with(prefix) {
            return None;
        }
        let start = at + prefix.len();
        match *tail {
            Tail::Url(least) => {
                // A long name in snake or kebab case is no key: keys mix digits in.
                let near = text[start..].iter().take(DIGIT_WITHIN);
                if !near.take_while(|&&byte| base64url(byte) || byte == b'.').any(u8::is_ascii_digit) {
                    return None;
                }
                let mut len = run(text, start, base64url);
                // A key in two parts, `SG.id.secret`.
                if text.get(start + len) == Some(&b'.') {
                    let second = run(text, start + len + 1, base64url);
                    len += if second >= 16 { second + 1 } else { 0 };
                }
                let body = &text[start..start + len];
                (len >= least && body.iter().any(u8::is_ascii_digit)).then_some(start + len)
            }
            Tail::Capitals(exactly) => {
                let len = run(text, start, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
                (len == exactly && ends_word(text, start + len)).then_some(start + len)
            }
        }
    })
}

/// Names whose value is a secret wherever it stands: `password=…`, `"api_key": "…"`. In lower case, without `-` and `_`.
const NAMES: [&str; 18] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "clientsecret",
    "secretkey",
    "apikey",
    "xapikey",
    "accesskey",
    "secretaccesskey",
    "token",
    "accesstoken",
    "refreshtoken",
    "authtoken",
    "idtoken",
    "privatekey",
    "sessiontoken",
];

/// Whether a parameter or key of this name holds a secret.
#[must_use]
pub fn is_secret_name(name: &[u8]) -> bool {
    let mut plain = [0u8; 24];
    let mut len = 0;
    for byte in name.iter().filter(|byte| !b"-_.".contains(byte)) {
        if len == plain.len() {
            return false;
        }
        plain[len] = byte.to_ascii_lowercase();
        len += 1;
    }
    NAMES.iter().any(|known| known.as_bytes() == &plain[..len])
}

/// The value behind the `=` or `:` at `at`, if what stands before it is the name of a secret: its range.
#[must_use]
pub fn assigned(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut name_end = at;
    while name_end > 0 && b" \"'".contains(&text[name_end - 1]) && at - name_end < 2 {
        name_end -= 1;
    }
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    let name_start = name_end - text[..name_end].iter().rev().take(40).take_while(|byte| in_name(byte)).count();
    if name_start == name_end || !is_secret_name(&text[name_start..name_end]) {
        return None;
    }
    let mut start = at + 1;
    while text.get(start) == Some(&b' ') && start - at <= 2 {
        start += 1;
    }
    let quote = text.get(start).copied().filter(|byte| b"\"'".contains(byte));
    start += usize::from(quote.is_some());
    // What begins so stands for a value already.
    if text.get(start) == Some(&b'[') {
        return None;
    }
    let end = match quote {
        Some(quote) => start + run(text, start, |byte| byte != quote),
        None => start + run(text, start, |byte| !byte.is_ascii_whitespace() && !b"&;,)}]\"'<>".contains(&byte)),
    };
    let value = &text[start..end];
    // "token: expired", "password: invalid" and placeholders are prose.
    let prose = quote.is_none() && text[at] == b':' && value.iter().all(u8::is_ascii_lowercase);
    let masked = value.iter().all(|byte| b"*?x%s{}[]$".contains(byte));
    (value.len() >= 3 && !prose && !masked).then_some((start, end))
}
