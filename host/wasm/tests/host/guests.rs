//! The guests, built once for all tests of a run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// For `wasm32-unknown-unknown`: a core module with a component type.
pub fn probe() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| built("probe", "wasm32-unknown-unknown"))
}

/// The same for `wasm32-wasip2`: a component whose runtime imports WASI.
pub fn probe_with_wasi() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| built("probe", "wasm32-wasip2"))
}

/// The same guest, made for the contract's version before.
pub fn probe_v0_1() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| built_as("probe", "wasm32-unknown-unknown", "v0_1", &["--features", "v0-1"]))
}

/// A guest that imports what no plugin is given.
pub fn asks() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| built("asks", "wasm32-unknown-unknown"))
}

/// A guest that hands over how many calls it remembers.
pub fn remembers() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| built("remembers", "wasm32-unknown-unknown"))
}

/// A sampler that does what its settings say, well or badly, and hands over how many traces it has decided.
pub fn picks() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| built("picks", "wasm32-unknown-unknown"))
}

/// The official sampler, as it is released: from where `cargo xtask plugins` builds it, which leaves nothing to be done.
pub fn tail_sample() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let place = Place { workspace: "plugins", profile: "release", into: "target/plugins".into() };
        place.built("tail-sample", "wasm32-unknown-unknown", &[])
    })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn built(package: &str, target: &str) -> Vec<u8> {
    built_as(package, target, "", &[])
}

/// In a folder of its own, because what is built otherwise has the same name.
fn built_as(package: &str, target: &str, own: &str, options: &[&str]) -> Vec<u8> {
    let into = Path::new("target/probe-guests").join(own);
    Place { workspace: "tests/guests", profile: "probe", into }.built(package, target, options)
}

/// Where guests are built, from which workspace and how.
struct Place {
    workspace: &'static str,
    profile: &'static str,
    into: PathBuf,
}

impl Place {
    fn built(&self, package: &str, target: &str, options: &[&str]) -> Vec<u8> {
        let folder = root().join(&self.into);
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--profile", self.profile, "--target", target, "--package", package])
            .arg("--manifest-path")
            .arg(root().join(self.workspace).join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&folder)
            .args(options)
            // What is set for the host's own build is not meant for guests.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the guest {package} does not build (rustup target add {target})");
        let file = folder.join(target).join(self.profile).join(format!("{}.wasm", package.replace('-', "_")));
        std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }
}
