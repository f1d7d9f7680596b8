//! The contract's released versions: none of them changes, the host runs two, and a patch adds without breaking.
//!
//! `wit/released/VERSION.wit` is what was released, without comments. A new version is released by `UPDATE_GOLDEN=1`, which writes what is
//! not there yet and never touches what is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use semver::Version;
use tracemill_wasm::CONTRACTS;
use wit_component::{OutputToString, WitPrinter, semver_check};
use wit_parser::{PackageId, Resolve};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")
}

/// The versions that have a folder.
fn versions() -> BTreeMap<Version, PathBuf> {
    let entries = fs::read_dir(folder()).expect("the contract's folder").map(|entry| entry.expect("an entry").path());
    entries.filter_map(|path| Some((Version::parse(path.file_name()?.to_str()?).ok()?, path))).collect()
}

/// What the contract says, without comments.
fn said(path: &Path) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(path).unwrap_or_else(|error| panic!("{}: {error:#}", path.display()));
    let mut printer = WitPrinter::new(OutputToString::default());
    printer.emit_docs(false).print(&resolve, package, &[]).expect("what was read can be printed");
    printer.output.to_string()
}

/// Whether every world of `old` is kept by `new`; `Err` says which is not.
fn is_kept(old: &str, new: &str) -> Result<(), String> {
    let push = |resolve: &mut Resolve, text: &str, mark: &str| -> PackageId {
        // Both are in one place here, under names of their own; versions are not compared.
        let (package, rest) = text.split_once(';').expect("a package comes first");
        let (name, _) = package.split_once('@').expect("with its version");
        let text = format!("{name}@0.0.0-{mark};{rest}");
        resolve.push_str(format!("{mark}.wit"), &text).expect("it was read before")
    };
    let mut resolve = Resolve::default();
    let (old, new) = (push(&mut resolve, old, "old"), push(&mut resolve, new, "new"));
    for (name, &world) in &resolve.packages[old].worlds {
        let Some(&kept) = resolve.packages[new].worlds.get(name) else { return Err(format!("world {name} is gone")) };
        semver_check(resolve.clone(), world, kept).map_err(|error| format!("world {name}: {error:#}"))?;
    }
    Ok(())
}

#[test]
fn a_released_version_does_not_change() {
    for (version, path) in versions() {
        let released = folder().join("released").join(format!("{version}.wit"));
        let now = said(&path);
        if std::env::var_os("UPDATE_GOLDEN").is_some() && !released.exists() {
            fs::write(&released, &now).expect("it can be written");
        }
        let was = fs::read_to_string(&released)
            .unwrap_or_else(|error| panic!("{}: {error}; UPDATE_GOLDEN=1 releases {version}", released.display()));
        if was != now {
            let how = match is_kept(&was, &now) {
                Ok(()) => "it adds to it: make that a new patch version, in a folder of its own".to_owned(),
                Err(why) => format!("it breaks it ({why}): make that a new minor version, in a folder of its own"),
            };
            panic!("wit/{version} was released and is not what it was; {how}");
        }
    }
}

#[test]
fn patches_add_and_break_nothing() {
    let versions: Vec<_> = versions().into_iter().collect();
    for ((old, before), (new, after)) in versions.iter().zip(&versions[1..]) {
        if (old.major, old.minor) == (new.major, new.minor) {
            let kept = is_kept(&said(before), &said(after));
            assert_eq!(kept, Ok(()), "{new} must run what {old} runs");
        }
    }
    // What would break is seen.
    let old = said(&versions[0].1);
    let narrower = old.replace("may-drop: bool,", "");
    assert_ne!(narrower, old);
    assert!(is_kept(&old, &narrower).is_err());
    assert!(is_kept(&old, &old.replace("world span-processor {", "world other {")).is_err());
}

#[test]
fn the_host_runs_the_newest_version_and_the_one_before() {
    let versions: Vec<String> = versions().into_keys().rev().take(2).map(|version| version.to_string()).collect();
    assert_eq!(versions, CONTRACTS);
}
