//! Who may send, or look: bearer tokens, or users with passwords, from a file that is followed.
//!
//! Secrets are looked up by a keyed digest: how long that takes says nothing about them. Passwords are hashed slowly in the file, so
//! that it is of little use to a thief; what was checked once is remembered by its digest for as long as the file stays the same.
//! Invariant: nothing that was sent as a credential is logged, answered or kept as it came.

mod file;
mod passwords;
mod secret;

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use parking_lot::Mutex;

pub use self::file::AuthError;

use self::file::Read;
use self::passwords::{Outcome, Passwords};
use self::secret::{Digest, Key};
use crate::followed::{self, Seen};

/// Where the secrets are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthConfig {
    /// `Authorization: Bearer`: a token a line, and its tenant if it has one.
    Tokens(PathBuf),
    /// `Authorization: Basic`: as `htpasswd -B` writes it.
    Basic(PathBuf),
}

impl AuthConfig {
    fn file(&self) -> &PathBuf {
        match self {
            Self::Tokens(file) | Self::Basic(file) => file,
        }
    }
}

/// Somebody who may.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Granted {
    /// The tenant that the token names.
    pub tenant: Option<Arc<str>>,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// No credentials of the kind that is asked for.
    Missing,
    /// They are not known.
    Wrong,
    /// Too many passwords are being checked: to be tried again.
    Busy,
}

/// The secrets, as they are in the file now.
pub struct Auth {
    config: AuthConfig,
    key: Key,
    known: ArcSwap<Known>,
    seen: Mutex<Seen<Read>>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").field("config", &self.config).finish_non_exhaustive()
    }
}

enum Known {
    Tokens(std::collections::HashMap<Digest, Granted>),
    Passwords(Passwords),
}

impl Auth {
    /// Reads the file.
    pub fn new(config: AuthConfig) -> Result<Self, AuthError> {
        let key = Key::random();
        let read = Read::of(config.file())?;
        let known = ArcSwap::from_pointee(read.known(&config, &key)?);
        Ok(Self { config, key, known, seen: Mutex::new(Seen::of(read)) })
    }

    /// What to answer somebody who was denied, in `WWW-Authenticate`.
    #[must_use]
    pub fn challenge(&self) -> &'static str {
        match self.config {
            AuthConfig::Tokens(_) => "Bearer realm=\"tracemill\"",
            AuthConfig::Basic(_) => "Basic realm=\"tracemill\", charset=\"UTF-8\"",
        }
    }

    /// Whether who sends these headers may.
    pub async fn check(&self, headers: &HeaderMap) -> Result<Granted, Denied> {
        let mut sent = headers.get_all(AUTHORIZATION).iter();
        let (Some(only), None) = (sent.next(), sent.next()) else { return Err(Denied::Missing) };
        let known = self.known.load_full();
        match &*known {
            Known::Tokens(tokens) => {
                let token = credentials(only.as_bytes(), b"bearer").ok_or(Denied::Missing)?;
                tokens.get(&self.key.digest(token)).cloned().ok_or(Denied::Wrong)
            }
            Known::Passwords(passwords) => {
                let encoded = credentials(only.as_bytes(), b"basic").ok_or(Denied::Missing)?;
                let pair = STANDARD.decode(encoded).map_err(|_| Denied::Missing)?;
                match passwords.check(self.key.digest(&pair), &pair).await {
                    Outcome::Right => Ok(Granted::default()),
                    Outcome::Wrong => Err(Denied::Wrong),
                    Outcome::Busy => Err(Denied::Busy),
                }
            }
        }
    }

    /// Follows the file for ever.
    pub async fn follow(self: Arc<Self>) {
        followed::follow(move || {
            self.look();
            true
        })
        .await;
    }

    fn look(&self) {
        let read = Read::of(self.config.file()).map_err(|error| error.to_string());
        let mut seen = self.seen.lock();
        let Some(news) = seen.news(read) else { return };
        let known = match news {
            Ok(read) => read.known(&self.config, &self.key).map_err(|error| error.to_string()),
            Err(error) => Err(error.clone()),
        };
        match known {
            Ok(known) => {
                self.known.store(Arc::new(known));
                tracing::info!(file = %self.config.file().display(), "credentials read anew");
            }
            Err(error) => tracing::error!("the new credentials are not taken, the old ones stay: {error}"),
        }
    }
}

/// What follows the scheme, whose name may be written in any case.
fn credentials<'h>(header: &'h [u8], scheme: &[u8]) -> Option<&'h [u8]> {
    let (name, rest) = header.split_at_checked(scheme.len())?;
    let rest = rest.strip_prefix(b" ")?.trim_ascii();
    (name.eq_ignore_ascii_case(scheme) && !rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests;
