//! Span names of few kinds: ids, UUIDs and hashes become `{id}`, queries go.

use tracemill_sdk::bindings::types::{Cells, Texts, Words as WordCells};
use tracemill_sdk::prelude::*;

/// The column of names, and where tidied ones go.
pub struct Names {
    names: Column<Words>,
    target: Target,
}

impl Names {
    /// Declares the span's name.
    pub fn configure(plan: &mut PlanBuilder) -> Self {
        Self { names: plan.words("name"), target: plan.writes("name") }
    }

    /// Tidies each distinct name once; rows are walked only if one of them changes.
    pub fn apply(&self, batch: &Batch<'_>, edits: &mut Edits<'_>) {
        let names = batch.read(self.names);
        let mut tidied = Texts::default();
        let mut codes = vec![UNCHANGED; names.words().len()];
        for (code, name) in codes.iter_mut().zip(names.words().iter()) {
            if let Some(tidy) = name.to_str().and_then(tidy) {
                *code = tidied.offsets.len() as u32 - 1;
                tidied.push(tidy);
            }
        }
        if tidied.data.is_empty() {
            return;
        }
        let changed = || {
            names.codes().iter().map(|&code| codes[code as usize]).zip(0u32..).filter(|(code, _)| *code != UNCHANGED)
        };
        let rows: Vec<u32> = changed().map(|(_, row)| row).collect();
        let cells = WordCells { codes: changed().map(|(code, _)| code).collect(), words: tidied };
        edits.set_each(self.target, rows, Cells::Words(cells), Mode::Update);
    }
}

/// No word has this number.
const UNCHANGED: u32 = u32::MAX;

/// What stands for an id.
const PLACEHOLDER: &str = "{id}";

/// A name with `{id}` for every id, UUID and hash, and without the queries of its paths; none if it has none of these.
///
/// Names of few kinds come out as they went in: words, versions (`/v2`), status codes, short numbers outside of paths.
pub fn tidy(name: &str) -> Option<String> {
    // Everything that is replaced has a digit, or begins with a question mark.
    if !name.bytes().any(|byte| byte.is_ascii_digit() || byte == b'?') {
        return None;
    }
    let mut tidied = String::with_capacity(name.len());
    let mut changed = false;
    let mut before = ' ';
    let mut in_path = false;
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        if is_part(first) {
            let end = rest.find(|character| !is_part(character)).unwrap_or(rest.len());
            let (token, after) = rest.split_at(end);
            let kept = kept_part(token, before, after);
            match kept {
                Some(kept) => {
                    tidied.push_str(kept);
                    tidied.push_str(PLACEHOLDER);
                    changed = true;
                }
                None => tidied.push_str(token),
            }
            before = 'a';
            rest = after;
        } else {
            in_path = match first {
                '/' => true,
                character if character.is_whitespace() => false,
                _ => in_path,
            };
            if first == '?' && in_path {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                rest = &rest[end..];
                changed = true;
            } else {
                tidied.push(first);
                rest = &rest[first.len_utf8()..];
            }
            before = first;
        }
    }
    changed.then_some(tidied)
}

/// What ids and words are made of.
fn is_part(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '-' | '_')
}

/// If a token is an id, or ends with one: what stands before the id.
fn kept_part<'t>(token: &'t str, before: char, after: &str) -> Option<&'t str> {
    // `{0}` is a placeholder already, `1.5` and `1:30` are no ids.
    if before == '{' || matches!(before, '.' | ':') || after.starts_with('.') {
        return is_long_id(token).then_some("");
    }
    let is_segment = before == '/';
    if is_long_id(token) || (is_segment && is_short_id(token)) {
        return Some("");
    }
    let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
    if !is_segment && digits(token) == token.len() && token.len() > 4 {
        return Some("");
    }
    // `user-12345`, `order_778`: the word stays.
    let (word, id) = token.split_at(token.rfind(['-', '_'])? + 1);
    let is_id = (digits(id) == id.len() && id.len() > 2) || is_long_id(id);
    (is_id && word.bytes().any(|byte| byte.is_ascii_alphabetic())).then_some(word)
}

/// UUIDs, hashes, and the ids of databases and queues, wherever they stand.
fn is_long_id(token: &str) -> bool {
    let (mut digits, mut letters, mut hexadecimal) = (0, 0, true);
    for byte in token.bytes() {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'a'..=b'f' | b'A'..=b'F' => letters += 1,
            b'-' => {}
            _ => {
                letters += 1;
                hexadecimal = false;
            }
        }
    }
    let is_uuid = hexadecimal
        && token.len() == 36
        && token.bytes().enumerate().all(|(at, byte)| (byte == b'-') == matches!(at, 8 | 13 | 18 | 23));
    let is_hash = hexadecimal && !token.contains('-') && token.len() >= 16 && digits > 0;
    // ULIDs, KSUIDs, push ids: letters and many digits, without the word breaks of a name.
    let is_mixed = token.len() >= 20 && digits >= 4 && letters > 0 && !token.contains(['-', '_']);
    is_uuid || is_hash || is_mixed
}

/// Numbers and short hexadecimal ids, which are ids only as a segment of a path.
fn is_short_id(token: &str) -> bool {
    let digits = token.bytes().filter(u8::is_ascii_digit).count();
    let hexadecimal = token.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits == token.len() || (hexadecimal && token.len() >= 7 && digits >= 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_placeholders() {
        for (name, expected) in [
            ("GET /users/123", "GET /users/{id}"),
            ("GET /users/123/orders/9", "GET /users/{id}/orders/{id}"),
            ("/users/550e8400-e29b-41d4-a716-446655440000", "/users/{id}"),
            ("GET /blobs/da39a3ee5e6b4b0d3255bfef95601890afd80709.json", "GET /blobs/{id}.json"),
            ("GET /commits/4f2a91c", "GET /commits/{id}"),
            ("PUT /u/507f1f77bcf86cd799439011", "PUT /u/{id}"),
            ("GET /e/01ARZ3NDEKTSV4RRFFQ69G5FAV", "GET /e/{id}"),
            ("GET /search?q=x&page=2 done", "GET /search done"),
            ("GET /search?q=x", "GET /search"),
            ("process order-77812", "process order-{id}"),
            ("send user_4711", "send user_{id}"),
            ("job 8812345", "job {id}"),
            ("lock 550e8400-e29b-41d4-a716-446655440000 taken", "lock {id} taken"),
            ("GET /\u{fc}ser/12", "GET /\u{fc}ser/{id}"),
        ] {
            assert_eq!(tidy(name).as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn names_of_few_kinds_stay() {
        for name in [
            "",
            "GET /users/{id}",
            "GET /users/{0}",
            "GET /v2/users",
            "POST /oauth2/token",
            "HTTP 200",
            "SELECT 1",
            "s3.GetObject",
            "convert mp3 to mp4",
            "cron 12:30",
            "grpc.health.v1.Health/Check",
            "retry-policy-v2",
            "ipv6-lookup-service-name",
            "what?",
            "is it 5?",
            "facade/decade",
            "sha256",
        ] {
            assert_eq!(tidy(name), None, "{name}");
        }
    }
}
