//! Jars from a Maven repository, checked by their hashes.

use anyhow::{Result, ensure};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::Path;

/// The file that says which hash each jar has.
pub(crate) const SUMS: &str = "SHA256SUMS";

/// Whether the folder has exactly these files, with these hashes.
pub(crate) fn check(jars: &Path, sums: &str) -> Result<()> {
    let mut found = Vec::new();
    for file in files_of(jars)? {
        let hash = Sha256::digest(fs::read(jars.join(&file))?);
        found.push(format!("{}  {file}", crate::hex(&hash)));
    }
    let mut wanted: Vec<_> = sums.lines().collect();
    found.sort_unstable();
    wanted.sort_unstable();
    ensure!(found == wanted, "the jars are not those of {SUMS}:\n{}", found.join("\n"));
    Ok(())
}

pub(crate) fn files_of(folder: &Path) -> Result<Vec<String>> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect()
}

#[cfg(test)]
mod tests {
    //! A jar that is not the pinned one is found.

    use super::*;

    #[test]
    fn every_jar_must_have_its_hash_and_no_other_may_be_there() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.jar"), "abc").unwrap();
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a.jar\n";
        check(folder.path(), sum).unwrap();
        assert!(check(folder.path(), "").is_err());
        assert!(check(folder.path(), &format!("{sum}{}", sum.replace("a.jar", "b.jar"))).is_err());
        fs::write(folder.path().join("a.jar"), "abd").unwrap();
        assert!(check(folder.path(), sum).is_err());
    }
}
