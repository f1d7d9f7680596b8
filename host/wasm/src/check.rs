//! What a file is, before anything of it is compiled: whether it is WebAssembly at all, what it exports and imports, and for
//! which version of the contract it was made.
//!
//! Invariant: a plugin reaches nothing but what is named here. What it imports beyond the contract and the empty shell of
//! WASI is refused with the import's name; nothing is stubbed silently.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use semver::Version;
use wasmparser::{Encoding, Parser, Payload};

use crate::{CONTRACTS, wasi};

/// Bytes that a plugin's file may have, unless the operator says otherwise. Python plugins have 18 MB, and up to 40.
pub const DEFAULT_SIZE: usize = 64 << 20;

/// A file that is no plugin for this host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Too large.
    #[error("it has {size} bytes; the limit is {limit}")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// The bound.
        limit: usize,
    },
    /// Something else altogether.
    #[error("it is not WebAssembly: it begins with {0}")]
    NotWasm(String),
    /// WebAssembly that cannot be read, or was not written to its end.
    #[error("it is broken or not complete: {0}")]
    Broken(String),
    /// A core module of which nobody knows the types.
    #[error(
        "it is a core module without a component type, so that it was not built with bindings for `tracemill:plugin` \
         (in Rust: the SDK, or wit-bindgen, and a cdylib)"
    )]
    NoComponentType,
    /// A core module that cannot be made a component.
    #[error("it is a core module that cannot be made a component: {0}")]
    NotComponent(String),
    /// A component that is neither a processor nor a sampler.
    #[error("it exports neither `tracemill:plugin/processor` nor `tracemill:plugin/sampler`{0}")]
    NoPlugin(String),
    /// A component that is both.
    #[error("it exports both `{processor}` and `{sampler}`; a plugin is one of both, so make it two files")]
    Both {
        /// What makes it a processor.
        processor: String,
        /// What makes it a sampler.
        sampler: String,
    },
    /// A sampler of a contract whose samplers no host has ever run.
    #[error("it exports `{0}`; samplers run from version 0.2.0 of `tracemill:plugin` on, so build it anew for that")]
    OldSampler(String),
    /// Made for another version of the contract.
    #[error("it was made for version {found} of `tracemill:plugin` (`{name}`); this host runs {}", supported())]
    Version {
        /// Its version.
        found: String,
        /// The import or export that says so.
        name: String,
    },
    /// It wants what nobody granted.
    #[error("it imports `{0}`, which plugins are not given")]
    Import(String),
    /// It does not compile.
    #[error("it does not compile: {0}")]
    Compile(String),
    /// What it imports or exports has other types than the contract.
    #[error("it does not fit the contract: {0}")]
    Types(String),
}

/// What a plugin does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It is shown batches of spans, and edits them.
    Processor,
    /// It decides whole traces.
    Sampler,
}

impl Role {
    /// Its word for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Processor => "processor",
            Self::Sampler => "sampler",
        }
    }

    fn interface(self) -> &'static str {
        match self {
            Self::Processor => "tracemill:plugin/processor",
            Self::Sampler => "tracemill:plugin/sampler",
        }
    }
}

fn supported() -> String {
    contracts().map(|version| format!("{}.{}.x", version.major, version.minor)).collect::<Vec<_>>().join(" and ")
}

fn contracts() -> impl Iterator<Item = Version> {
    CONTRACTS.into_iter().map(|version| Version::parse(version).expect("CONTRACTS are versions"))
}

/// A file that has been found to be a plugin for this host, not yet compiled.
#[derive(Debug, Clone)]
pub struct Checked<'a> {
    /// The component: the file itself, or what was made of a core module.
    pub(crate) component: Cow<'a, [u8]>,
    /// Whether it imports WASI.
    pub(crate) wasi: bool,
    pub(crate) role: Role,
    pub(crate) version: Version,
    pub(crate) plugin_version: Option<String>,
    names: Names,
    is_module: bool,
}

impl Checked<'_> {
    /// What it does.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// For which version of the contract it was made.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Which version it says it is itself, by the custom section `version` that the tool conventions name.
    #[must_use]
    pub fn plugin_version(&self) -> Option<&str> {
        self.plugin_version.as_deref()
    }

    /// What it imports, by name and version.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.names.imports
    }

    /// What it exports, likewise.
    #[must_use]
    pub fn exports(&self) -> &[String] {
        &self.names.exports
    }

    /// Whether the file is a core module with a component type, of which a component was made.
    #[must_use]
    pub fn is_module(&self) -> bool {
        self.is_module
    }
}

/// Looks at a plugin's file, at most `limit` bytes of it. Compiles nothing; takes milliseconds.
pub fn check(bytes: &[u8], limit: usize) -> Result<Checked<'_>, LoadError> {
    if bytes.len() > limit {
        return Err(LoadError::TooLarge { size: bytes.len(), limit });
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(LoadError::NotWasm(beginning(bytes)));
    }
    // The parsers are written for hostile input, but a bug in one of them must not end the process.
    catch_unwind(AssertUnwindSafe(|| checked(bytes)))
        .unwrap_or_else(|_| Err(LoadError::Broken("its parser failed".to_owned())))
}

fn checked(bytes: &[u8]) -> Result<Checked<'_>, LoadError> {
    let is_module = Parser::is_core_wasm(bytes);
    let component = if is_module { Cow::Owned(wrap(bytes)?) } else { Cow::Borrowed(bytes) };
    let names = Names::read(&component)?;
    let mut wasi = false;
    for import in &names.imports {
        wasi |= judge_import(import)?;
    }
    let (role, version) = judge_exports(&names.exports)?;
    let plugin_version = plugin_version(bytes);
    Ok(Checked { component, wasi, role, version, plugin_version, names, is_module })
}

fn beginning(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(8)];
    if head.is_empty() { "nothing, it is empty".to_owned() } else { format!("\"{}\"", head.escape_ascii()) }
}

fn broken(error: &wasmparser::BinaryReaderError) -> LoadError {
    LoadError::Broken(error.to_string())
}

/// Makes a component of a core module.
fn wrap(module: &[u8]) -> Result<Vec<u8>, LoadError> {
    let mut typed = false;
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(|error| broken(&error))? {
            Payload::CustomSection(section) => typed |= section.name().starts_with("component-type"),
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.map_err(|error| broken(&error))?;
                    if import.module == "wasi_snapshot_preview1" {
                        return Err(LoadError::Import(format!("{}.{}", import.module, import.name)));
                    }
                }
            }
            _ => {}
        }
    }
    if !typed {
        return Err(LoadError::NoComponentType);
    }
    let mut encoder = wit_component::ComponentEncoder::default();
    encoder
        .validate(true)
        .module(module)
        .and_then(wit_component::ComponentEncoder::encode)
        .map_err(|error| LoadError::NotComponent(format!("{error:#}")))
}

/// The text of the custom section `version`, if it is one that can be shown.
fn plugin_version(bytes: &[u8]) -> Option<String> {
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.ok()? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 && section.name() == "version" => {
                let text = std::str::from_utf8(section.data()).ok()?.trim();
                let is_plain = text.len() <= 64 && text.chars().all(|c| c.is_ascii_graphic());
                return (is_plain && !text.is_empty()).then(|| text.to_owned());
            }
            _ => {}
        }
    }
    None
}

/// What a component imports and exports, by name.
#[derive(Debug, Clone, Default)]
struct Names {
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Names {
    fn read(component: &[u8]) -> Result<Self, LoadError> {
        let mut names = Self::default();
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(component) {
            match payload.map_err(|error| broken(&error))? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                    return Err(LoadError::NotComponent("it is a module within".to_owned()));
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        names.imports.push(import.map_err(|error| broken(&error))?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        names.exports.push(export.map_err(|error| broken(&error))?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(names)
    }
}

/// Whether an export is the contract's optional `handover`.
pub(crate) fn is_handover(name: &str) -> bool {
    split(name).0 == "tracemill:plugin/handover"
}

/// Splits `tracemill:plugin/host@0.1.0`.
fn split(name: &str) -> (&str, Option<Version>) {
    match name.split_once('@') {
        Some((interface, version)) => (interface, Version::parse(version).ok()),
        None => (name, None),
    }
}

/// Whether a guest made for `version` runs here: the same track of versions, as components count them.
fn runs(version: &Version) -> bool {
    contracts().any(|ours| version.major == ours.major && version.minor == ours.minor) && version.pre.is_empty()
}

fn other_version(name: &str, version: Option<&Version>) -> LoadError {
    let found = version.map_or_else(|| "without a number".to_owned(), Version::to_string);
    LoadError::Version { found, name: name.to_owned() }
}

/// Whether it is one of WASI's.
fn judge_import(name: &str) -> Result<bool, LoadError> {
    let (interface, version) = split(name);
    if let Some(of_ours) = interface.strip_prefix("tracemill:plugin/") {
        if !matches!(of_ours, "host" | "state" | "types") {
            return Err(LoadError::Import(name.to_owned()));
        }
        return match &version {
            Some(version) if runs(version) => Ok(false),
            other => Err(other_version(name, other.as_ref())),
        };
    }
    let of_wasi = version.is_some_and(|version| version.major == 0 && version.minor == 2)
        && wasi::INTERFACES.contains(&interface);
    if of_wasi { Ok(true) } else { Err(LoadError::Import(name.to_owned())) }
}

/// What a component is by its exports, and of which version of the contract.
fn judge_exports(names: &[String]) -> Result<(Role, Version), LoadError> {
    let of = |role: Role| names.iter().find(|name| split(name).0 == role.interface());
    let (role, name) = match (of(Role::Processor), of(Role::Sampler)) {
        (Some(name), None) => (Role::Processor, name),
        (None, Some(name)) => (Role::Sampler, name),
        (Some(processor), Some(sampler)) => {
            return Err(LoadError::Both { processor: processor.clone(), sampler: sampler.clone() });
        }
        (None, None) if names.is_empty() => return Err(LoadError::NoPlugin(", nor anything else".to_owned())),
        (None, None) => return Err(LoadError::NoPlugin(format!(", only `{}`", names.join("`, `")))),
    };
    let version = match split(name).1 {
        Some(version) if runs(&version) => version,
        other => return Err(other_version(name, other.as_ref())),
    };
    if role == Role::Sampler && (version.major, version.minor) == (0, 1) {
        return Err(LoadError::OldSampler(name.clone()));
    }
    let other = names.iter().find(|name| is_handover(name) && split(name).1.as_ref() != Some(&version));
    other.map_or(Ok((role, version)), |name| Err(other_version(name, split(name).1.as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: &str =
        "it exports neither `tracemill:plugin/processor` nor `tracemill:plugin/sampler`, nor anything else";

    #[test]
    fn what_is_no_wasm_is_named_by_its_beginning() {
        let said = |bytes: &[u8]| check(bytes, 100).expect_err("no plugin").to_string();
        assert_eq!(said(b""), "it is not WebAssembly: it begins with nothing, it is empty");
        assert_eq!(said(b"#!/bin/sh\n"), "it is not WebAssembly: it begins with \"#!/bin/s\"");
        assert_eq!(said(b"\x7fELF\x02"), "it is not WebAssembly: it begins with \"\\x7fELF\\x02\"");
        assert_eq!(said(&[0; 101]), "it has 101 bytes; the limit is 100");
        assert!(said(b"\0asm").starts_with("it is broken or not complete: "));
    }

    #[test]
    fn a_module_and_a_component_of_nothing_are_no_plugins() {
        assert_eq!(check(b"\0asm\x01\0\0\0", 100).expect_err("a module"), LoadError::NoComponentType);
        let said = check(b"\0asm\x0d\0\x01\0", 100).expect_err("a component").to_string();
        assert_eq!(said, NOTHING);
    }

    #[test]
    fn imports_are_the_contract_and_the_empty_shell_only() {
        assert_eq!(judge_import("tracemill:plugin/state@0.1.7"), Ok(false));
        assert_eq!(judge_import("wasi:cli/environment@0.2.6"), Ok(true));
        for refused in [
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:cli/environment@0.3.0",
            "wasi:cli/run",
            "env",
            "tracemill:plugin/net@0.1.0",
        ] {
            assert_eq!(judge_import(refused), Err(LoadError::Import(refused.to_owned())));
        }
        assert_eq!(
            judge_import("tracemill:plugin/host@0.3.0").expect_err("another contract").to_string(),
            "it was made for version 0.3.0 of `tracemill:plugin` (`tracemill:plugin/host@0.3.0`); this host runs 0.2.x and \
             0.1.x"
        );
    }

    fn judged(names: &[&str]) -> Result<(Role, String), String> {
        let names: Vec<String> = names.iter().map(|name| format!("tracemill:plugin/{name}")).collect();
        let judged = judge_exports(&names).map_err(|error| error.to_string());
        judged.map(|(role, version)| (role, version.to_string()))
    }

    #[test]
    fn a_plugin_is_a_processor_or_a_sampler_by_what_it_exports() {
        assert_eq!(judged(&["processor@0.1.0"]), Ok((Role::Processor, "0.1.0".to_owned())));
        assert_eq!(judged(&["sampler@0.2.3", "handover@0.2.3"]), Ok((Role::Sampler, "0.2.3".to_owned())));
        let said = judged(&["sampler@0.2.0", "processor@0.2.0"]).expect_err("both");
        assert!(
            said.contains("both `tracemill:plugin/processor@0.2.0` and `tracemill:plugin/sampler@0.2.0`"),
            "{said}"
        );
        let said = judged(&["handover@0.2.0"]).expect_err("none of both");
        assert!(said.ends_with("nor `tracemill:plugin/sampler`, only `tracemill:plugin/handover@0.2.0`"), "{said}");
    }

    #[test]
    fn a_sampler_is_of_the_version_that_runs_samplers() {
        let said = judged(&["sampler@0.1.0"]).expect_err("the version before");
        assert_eq!(
            said,
            "it exports `tracemill:plugin/sampler@0.1.0`; samplers run from version 0.2.0 of `tracemill:plugin` on, so build \
             it anew for that"
        );
        let said = judged(&["sampler@0.9.0"]).expect_err("another contract");
        assert!(said.ends_with("(`tracemill:plugin/sampler@0.9.0`); this host runs 0.2.x and 0.1.x"), "{said}");
        let said = judged(&["sampler@0.2.0", "handover@0.1.0"]).expect_err("of two versions");
        assert!(said.starts_with("it was made for version 0.1.0"), "{said}");
    }
}
