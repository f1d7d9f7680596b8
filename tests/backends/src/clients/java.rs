//! The Java agent with an extension of the tests' own, and an app for it to instrument: pinned jars, checked by their hashes.

use crate::cache::{Obtained, Recipe, obtain, run};
use crate::jars::{SUMS, check, files_of};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const APP: &str = "app/Steady.java";
const EXTENSION: &str = "extension/Watch.java";
const SERVICES: &str =
    "extension/META-INF/services/io.opentelemetry.sdk.autoconfigure.spi.AutoConfigurationCustomizerProvider";
const AGENT: &str = "opentelemetry-javaagent-";

/// Where its parts are, below what was obtained.
#[derive(Debug)]
pub struct JavaAgent {
    /// The agent's jar.
    pub agent: PathBuf,
    /// The extension's jar.
    pub extension: PathBuf,
    /// The class path of the app `Steady`.
    pub classes: PathBuf,
}

impl JavaAgent {
    /// The parts in this folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self { agent: folder.join("agent.jar"), extension: folder.join("extension.jar"), classes: folder.join("app") }
    }
}

/// The folder with a [`JavaAgent`].
pub fn java_agent() -> Result<Obtained> {
    obtain(&Recipe {
        name: "java-client",
        needs: &["java", "javac", "jar", "mvn"],
        folder: "tests/system/clients/java",
        files: &["pom.xml", SUMS, APP, EXTENSION, SERVICES],
        make,
        product: "",
    })
}

fn make(sources: &Path, into: &Path) -> Result<()> {
    fs::copy(sources.join("pom.xml"), into.join("pom.xml"))?;
    let jars = into.join("jars");
    let copy = ["--batch-mode", "--quiet", "dependency:copy-dependencies", "-DoutputDirectory=jars"];
    run(Command::new("mvn").current_dir(into).args(copy))?;
    check(&jars, &fs::read_to_string(sources.join(SUMS))?)?;
    let java = JavaAgent::in_folder(into);
    compile(&sources.join(APP), &jars, &java.classes)?;
    let extension = into.join("extension");
    compile(&sources.join(EXTENSION), &jars, &extension)?;
    let services = extension.join(SERVICES.trim_start_matches("extension/"));
    fs::create_dir_all(services.parent().expect("it is in a folder"))?;
    fs::copy(sources.join(SERVICES), services)?;
    let mut jar = Command::new("jar");
    run(jar.arg("--create").arg("--file").arg(&java.extension).arg("-C").arg(extension).arg("."))?;
    let agent = files_of(&jars)?.into_iter().find(|file| file.starts_with(AGENT)).context("no jar of the agent")?;
    fs::rename(jars.join(agent), java.agent).context("putting the agent in its place")
}

fn compile(source: &Path, jars: &Path, into: &Path) -> Result<()> {
    run(Command::new("javac").arg("-cp").arg(jars.join("*")).arg("-d").arg(into).arg(source))
}
