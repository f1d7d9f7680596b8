//! What a file's name says: `10-drop-health.wasm` is stage `drop-health`, as `10-drop-health.oci` is where the file itself is elsewhere;
//! `10-drop-health.yaml` is its sidecar, and `10-drop-health.wasm.minisig` its signature.

/// What a file in the folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A plugin, or where to pull it from.
    Plugin,
    /// What the operator says about the plugin of the same stem.
    Sidecar,
    /// Who has signed the plugin of the same stem.
    Signature,
}

/// How the files of a stem end that decide what a plugin is made of, the plugin's own last.
pub const ENDINGS: [&str; 5] = ["yaml", "yml", SIGNATURE, REMOTE, "wasm"];

const SIGNATURE: &str = "wasm.minisig";
/// Of a file that says where the plugin is.
pub const REMOTE: &str = "oci";
/// Of a plugin.
pub const PLUGIN: &str = "wasm";

/// Reads a file's name: what it is, and its stem. `None` for files that are none of the folder's business.
#[must_use]
pub fn read(file: &str) -> Option<(Kind, &str)> {
    if file.starts_with(['_', '.']) {
        return None;
    }
    let (stem, ending) = file.rsplit_once('.')?;
    let (kind, stem) = match ending {
        PLUGIN | REMOTE => (Kind::Plugin, stem),
        "yaml" | "yml" => (Kind::Sidecar, stem),
        "minisig" => (Kind::Signature, stem.strip_suffix(".wasm")?),
        _ => return None,
    };
    (!stem.is_empty()).then_some((kind, stem))
}

/// A plugin's file without its ending.
#[must_use]
pub fn stem_of(file: &str) -> &str {
    read(file).map_or(file, |(_, stem)| stem)
}

/// Whether a plugin's file only says where the plugin is.
#[must_use]
pub fn is_remote(file: &str) -> bool {
    file.rsplit_once('.').is_some_and(|(_, ending)| ending == REMOTE)
}

/// The file of a stem's signature. It is about the WebAssembly, wherever that is.
#[must_use]
pub fn signature_of(stem: &str) -> String {
    format!("{stem}.{SIGNATURE}")
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
        assert_eq!(read("10-a.oci"), Some((Kind::Plugin, "10-a")));
        assert_eq!(read("10-a.wasm.minisig"), Some((Kind::Signature, "10-a")));
        assert_eq!(read(&signature_of("10-a")), Some((Kind::Signature, "10-a")));
        assert!(is_remote("10-a.oci") && !is_remote("10-a.wasm"));
        for ending in ENDINGS {
            assert_eq!(stem_of(&format!("10-a.{ending}")), "10-a");
        }
        for file in [
            "_off.wasm",
            ".10-a.wasm.unfinished",
            ".hidden.wasm",
            "README.md",
            "10-a.wasm~",
            "wasm",
            "10-a.wasm.part",
            "10-a.minisig",
            "10-a.yaml.minisig",
            ".wasm.minisig",
        ] {
            assert_eq!(read(file), None, "{file}");
        }
    }
}
