//! What a file's name says: `10-drop-health.wasm` is stage `drop-health`, and `10-drop-health.yaml` is its sidecar.

/// What a file in the folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A plugin.
    Plugin,
    /// What the operator says about the plugin of the same stem.
    Sidecar,
}

/// Reads a file's name: what it is, and its stem. `None` for files that are none of the folder's business.
#[must_use]
pub fn read(file: &str) -> Option<(Kind, &str)> {
    if file.starts_with(['_', '.']) {
        return None;
    }
    let (stem, ending) = file.rsplit_once('.')?;
    let kind = match ending {
        "wasm" => Kind::Plugin,
        "yaml" | "yml" => Kind::Sidecar,
        _ => return None,
    };
    (!stem.is_empty()).then_some((kind, stem))
}

/// The stage that a stem names: without its number.
#[must_use]
pub fn stage_of(stem: &str) -> &str {
    let named = stem.trim_start_matches(|c: char| c.is_ascii_digit());
    match named.strip_prefix('-') {
        Some(name) if named.len() < stem.len() && !name.is_empty() => name,
        _ => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_known_without_their_number() {
        for (stem, stage) in [
            ("10-drop-health", "drop-health"),
            ("drop-health", "drop-health"),
            ("010-3-way", "3-way"),
            ("10", "10"),
            ("10-", "10-"),
            ("-x", "-x"),
            ("10x", "10x"),
        ] {
            assert_eq!(stage_of(stem), stage);
        }
    }

    #[test]
    fn other_files_are_ignored() {
        assert_eq!(read("10-a.wasm"), Some((Kind::Plugin, "10-a")));
        assert_eq!(read("10-a.yaml"), Some((Kind::Sidecar, "10-a")));
        assert_eq!(read("a.b.wasm"), Some((Kind::Plugin, "a.b")));
        for file in
            ["_off.wasm", ".10-a.wasm.unfinished", ".hidden.wasm", "README.md", "10-a.wasm~", "wasm", "10-a.wasm.part"]
        {
            assert_eq!(read(file), None, "{file}");
        }
    }
}
