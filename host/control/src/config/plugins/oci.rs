//! The section `plugins.oci`: how plugins are pulled from registries.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{Cache, CacheFolder};
use crate::config::table::Table;

/// What pulling may take: a registry across the world, and one that never answers.
const TIMEOUT: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(10);

/// How plugins are pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oci {
    /// Where they are kept.
    pub cache: Cache,
    /// Registries, as `HOST:PORT`, that are asked over plain HTTP.
    pub insecure: Vec<String>,
    /// Who asks, for each registry.
    pub credentials: Vec<Credentials>,
    /// A file with further credentials, as docker keeps them. It is read with each pull.
    pub docker_config: Option<PathBuf>,
    /// Authorities to trust beside the system's (PEM). Read with each pull.
    pub ca_file: Option<PathBuf>,
    /// How long one attempt may take.
    pub timeout: Duration,
}

/// Who asks a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The registry, as it is written in references.
    pub host: String,
    /// The user.
    pub username: String,
    /// And the password.
    pub password: Password,
}

/// A password; never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// As it is written, or filled in from a variable.
    Text(String),
    /// In a file that is read with each pull; a line's end behind it does not count.
    File(PathBuf),
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("(hidden)"),
            Self::File(file) => write!(f, "(in {})", file.display()),
        }
    }
}

impl Default for Oci {
    fn default() -> Self {
        Self {
            cache: Cache { folder: CacheFolder::Usual, size: 1 << 30 },
            insecure: Vec::new(),
            credentials: Vec::new(),
            docker_config: None,
            ca_file: None,
            timeout: Duration::from_secs(30),
        }
    }
}

pub(super) fn read(table: &mut Table<'_>) -> Oci {
    let usual = Oci::default();
    let insecure = table.texts("insecure");
    if let Some(url) = insecure.iter().find(|host| host.contains('/')) {
        table.refuse("insecure", format!("\"{url}\" must be HOST or HOST:PORT, as it stands in references"));
    }
    Oci {
        cache: table.section("cache", super::cache),
        insecure,
        credentials: table.named("credentials", "HOST", credentials).into_iter().flatten().collect(),
        docker_config: table.text("docker_config").map(PathBuf::from),
        ca_file: table.text("ca_file").map(PathBuf::from),
        timeout: table.duration("timeout", TIMEOUT).unwrap_or(usual.timeout),
    }
}

fn credentials(host: &str, table: &mut Table<'_>) -> Option<Credentials> {
    let username = table.text("username");
    let (text, file) = (table.text("password"), table.text("password_file"));
    if username.is_none() && !table.has("username") {
        table.refuse("username", "is needed");
    }
    if table.has("password") == table.has("password_file") {
        table.refuse_whole("needs one of `password` and `password_file`");
    }
    let password = text.map(Password::Text).or(file.map(|file| Password::File(file.into())));
    Some(Credentials { host: host.to_owned(), username: username?, password: password? })
}
