//! The trace state when a plugin writes it: the `ot` entry belongs to the host and stays what it was.

/// What the trace state becomes when `new` is written over `old`: the entries of `new` without `ot`, behind the `ot` entry
/// of `old`, if it has one.
pub(super) fn with_ot_of(old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(old.len() + new.len() + 1);
    let kept = entries(old).find(|entry| is_ot(entry)).into_iter();
    for entry in kept.chain(entries(new).filter(|entry| !is_ot(entry))) {
        if !out.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(entry);
    }
    out
}

fn entries(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty())
}

fn is_ot(entry: &[u8]) -> bool {
    entry.starts_with(b"ot=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_of_the_host_survives_whatever_is_written() {
        let with = |old: &str, new: &str| String::from_utf8(with_ot_of(old.as_bytes(), new.as_bytes())).unwrap();
        assert_eq!(with("", "a=1,b=2"), "a=1,b=2");
        assert_eq!(with("x=1,ot=th:8", "a=1"), "ot=th:8,a=1");
        assert_eq!(with("ot=th:8", "ot=th:0, a=1"), "ot=th:8,a=1");
        assert_eq!(with("x=1", "ot=th:0"), "");
        assert_eq!(with("x=1,ot=rv:00000000000000", ""), "ot=rv:00000000000000");
    }
}
