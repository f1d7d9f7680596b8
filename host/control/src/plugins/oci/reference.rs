//! Where a plugin stands: `oci://HOST/REPOSITORY@sha256:DIGEST`.

use std::fmt;

/// How it begins.
const SCHEME: &str = "oci://";
/// How the only kind of digest begins that is taken.
const SHA256: &str = "sha256:";

/// A plugin in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    repository: String,
    /// The manifest's SHA-256, in hex.
    digest: String,
}

impl Reference {
    /// Whether a text means one.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// Reads one. A tag beside the digest is for people only. The error is for people.
    pub fn read(text: &str) -> Result<Self, String> {
        let form = "write oci://HOST/REPOSITORY@sha256:DIGEST";
        let plain = text.strip_prefix(SCHEME).ok_or_else(|| format!("\"{text}\" is no place in a registry: {form}"))?;
        let host = plain.split('/').next().unwrap_or_default();
        // Whoever writes no host means the one that a tool of theirs takes then; this is none of them.
        if !plain.contains('/') || !(host.contains(['.', ':']) || host == "localhost") {
            return Err(format!("\"{text}\" names no host: {form}"));
        }
        if !plain.contains('@') {
            return Err(format!(
                "{text} has no digest, and what a tag stands for can change: {form}; `oras resolve {plain}` and `crane digest {plain}` say it"
            ));
        }
        let read: Result<oci_client::Reference, _> = plain.parse();
        let read = read.map_err(|error| format!("{text} cannot be read: {error}"))?;
        let digest = read.digest().and_then(|digest| digest.strip_prefix(SHA256));
        let digest = digest.ok_or_else(|| format!("the digest of {text} is no SHA-256: {form}"))?;
        Ok(Self {
            registry: read.registry().to_owned(),
            repository: read.repository().to_owned(),
            digest: digest.to_ascii_lowercase(),
        })
    }

    /// Reads what a file of the folder says: one line, beside empty ones and those that begin with `#`.
    pub fn of_file(content: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(content).map_err(|_| "it is not text")?;
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        match (lines.next(), lines.next()) {
            (Some(line), None) => Self::read(line),
            (None, _) => {
                Err("it is empty: it must say where the plugin is, oci://HOST/REPOSITORY@sha256:DIGEST".to_owned())
            }
            (Some(_), Some(_)) => Err("it says more than one place: it must have one line".to_owned()),
        }
    }

    /// The manifest's SHA-256, in hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The registry, `HOST` or `HOST:PORT`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The last part of the repository's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or_default()
    }

    /// For the client.
    pub(super) fn wanted(&self) -> oci_client::Reference {
        let digest = format!("{SHA256}{}", self.digest);
        oci_client::Reference::with_digest(self.registry.clone(), self.repository.clone(), digest)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { registry, repository, digest } = self;
        write!(f, "{SCHEME}{registry}/{repository}@{SHA256}{digest}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> String {
        "0123456789abcdef".repeat(4)
    }

    #[test]
    fn a_place_has_a_host_a_repository_and_a_digest() {
        let digest = digest();
        for (host, repository, tag) in [
            ("registry.example", "team/scrub", ""),
            ("registry.example:5000", "scrub", ":1.2"),
            ("localhost:5000", "a/b/scrub", ""),
            ("127.0.0.1:5000", "scrub", ":latest"),
        ] {
            let text = format!("oci://{host}/{repository}{tag}@sha256:{digest}");
            let read = Reference::read(&text).unwrap();
            assert_eq!((read.registry(), read.repository.as_str(), read.digest()), (host, repository, digest.as_str()));
            assert_eq!(read.name(), "scrub");
            assert_eq!(read.to_string(), format!("oci://{host}/{repository}@sha256:{digest}"));
        }
        let upper = format!("oci://registry.example/a@sha256:{}", digest.to_uppercase());
        assert_eq!(Reference::read(&upper).unwrap().digest(), digest, "one content has one place in the cache");
    }

    #[test]
    fn what_pins_nothing_is_refused_with_what_to_do() {
        let digest = digest();
        let short = &digest[1..];
        for (text, why) in [
            ("oci://registry.example/a:1.2".to_owned(), "`oras resolve registry.example/a:1.2`"),
            ("oci://registry.example/a".to_owned(), "has no digest"),
            (format!("https://registry.example/a@sha256:{digest}"), "is no place in a registry"),
            (format!("registry.example/a@sha256:{digest}"), "is no place in a registry"),
            (format!("oci://team/a@sha256:{digest}"), "names no host"),
            (format!("oci://registry.example@sha256:{digest}"), "names no host"),
            (format!("oci://registry.example/a@sha256:{short}"), "cannot be read"),
            (format!("oci://registry.example/a@sha512:{digest}{digest}"), "is no SHA-256"),
            (format!("oci://registry.example/../a@sha256:{digest}"), "cannot be read"),
        ] {
            let said = Reference::read(&text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn a_file_says_one_place() {
        let line = format!("oci://registry.example/a@sha256:{}", digest());
        let file = format!("# the team's\n\n  {line}\r\n");
        assert_eq!(Reference::of_file(file.as_bytes()), Reference::read(&line));
        assert!(Reference::of_file(b"# nothing\n").unwrap_err().contains("it is empty"));
        assert!(Reference::of_file(format!("{line}\n{line}\n").as_bytes()).unwrap_err().contains("more than one"));
        assert!(Reference::of_file(b"\0asm\x01\0\0\xff").unwrap_err().contains("not text"));
    }
}
