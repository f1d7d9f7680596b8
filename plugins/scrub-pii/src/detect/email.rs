//! E-mail addresses, found at their `@`.

/// The address around the `@` at `at`: its range. Domain names need a dot and a top-level domain of letters; what stands
/// before must be a local part as people write them.
#[must_use]
pub fn around(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let local = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$&'*+/=?^_`{|}~-%".contains(&byte) || byte >= 0x80;
    let mut start = at;
    while start > 0 && at - start < 64 && local(text[start - 1]) {
        start -= 1;
    }
    // Quoting, paths and parameters end where an address begins: `user='a@b.de'`, `/users/a@b.de`, `?mail=a@b.de`.
    if let Some(cut) = text[start..at].iter().rposition(|byte| b"'=/?&|`{}".contains(byte)) {
        start += cut + 1;
    }
    while start < at && b".!#$&*^~".contains(&text[start]) {
        start += 1;
    }
    let local = &text[start..at];
    if local.is_empty() || local.ends_with(b".") || local.windows(2).any(|pair| pair == b"..") {
        return None;
    }
    let mut end = at + 1;
    while end < text.len()
        && end - at <= 253
        && (text[end].is_ascii_alphanumeric() || b".-".contains(&text[end]) || text[end] >= 0x80)
    {
        end += 1;
    }
    while end > at + 1 && b".-".contains(&text[end - 1]) {
        end -= 1;
    }
    let domain = &text[at + 1..end];
    let dot = domain.iter().rposition(|&byte| byte == b'.')?;
    let tld = &domain[dot + 1..];
    let labels_ok = domain
        .split(|&byte| byte == b'.')
        .all(|label| !label.is_empty() && label.len() <= 63 && !label.starts_with(b"-") && !label.ends_with(b"-"));
    // `name@2.0.1` is a version, `x@asset.js` a file of a bundle: a top-level domain has letters only, and code has not.
    let tld_ok =
        tld.len() >= 2 && tld.iter().all(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80) && !is_file_ending(tld);
    (labels_ok && tld_ok).then_some((start, end))
}

/// Endings that follow an `@` in names of packages and assets, and are no top-level domain.
fn is_file_ending(tld: &[u8]) -> bool {
    const ENDINGS: [&[u8]; 14] = [
        b"js", b"ts", b"jsx", b"tsx", b"mjs", b"cjs", b"css", b"png", b"jpg", b"jpeg", b"svg", b"json", b"html",
        b"webp",
    ];
    ENDINGS.iter().any(|ending| tld.eq_ignore_ascii_case(ending))
}
