//! The files of secrets: what may stand in them.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::passwords::Passwords;
use super::secret::Key;
use super::{AuthConfig, Granted, Known};

/// Why a file of secrets cannot be used. No secret is ever part of it.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// It cannot be read.
    #[error("cannot read {}: {error}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A line is not what it should be.
    #[error("{}:{line}: {message}", .path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong, and what to do.
        message: &'static str,
    },
    /// There is nothing in it.
    #[error("{} holds no {what}: nobody would be let in", .path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
}

/// A file as it was read. It is not shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Read {
    path: PathBuf,
    text: String,
}

impl Read {
    pub fn of(path: &Path) -> Result<Self, AuthError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self { path: path.to_owned(), text }),
            Err(error) => Err(AuthError::Read { path: path.to_owned(), error }),
        }
    }

    pub fn known(&self, config: &AuthConfig, key: &Key) -> Result<Known, AuthError> {
        match config {
            AuthConfig::Tokens(_) => self.tokens(key).map(Known::Tokens),
            AuthConfig::Basic(_) => self.passwords().map(Known::Passwords),
        }
    }

    fn tokens(&self, key: &Key) -> Result<HashMap<super::Digest, Granted>, AuthError> {
        let mut tokens = HashMap::new();
        for (line, text) in self.lines() {
            let mut words = text.split_ascii_whitespace();
            let (token, tenant, rest) = (words.next().unwrap_or_default(), words.next(), words.next());
            if rest.is_some() {
                return Err(self.wrong(line, "a line holds a token and, behind a blank, its tenant; nothing else"));
            }
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(
                    self.wrong(line, "a token is of ASCII letters, digits and signs, or no header can carry it")
                );
            }
            let granted = Granted { tenant: tenant.map(Into::into) };
            if tokens.insert(key.digest(token.as_bytes()), granted).is_some() {
                return Err(self.wrong(line, "this token stands on an earlier line already"));
            }
        }
        if tokens.is_empty() { Err(self.empty("token")) } else { Ok(tokens) }
    }

    fn passwords(&self) -> Result<Passwords, AuthError> {
        let mut users = HashMap::new();
        for (line, text) in self.lines() {
            let Some((user, hash)) = text.split_once(':') else {
                return Err(self.wrong(line, "a line is written USER:HASH, as htpasswd -B does"));
            };
            let hash = hash.trim();
            match hash.parse::<bcrypt::HashParts>() {
                Err(_) => return Err(self.wrong(line, "the password must be hashed by bcrypt: htpasswd -B")),
                Ok(parts) if parts.get_cost() > DEAREST => {
                    return Err(self.wrong(line, "its bcrypt cost is above 14: each check would take seconds"));
                }
                Ok(_) => {}
            }
            if users.insert(user.to_owned(), hash.to_owned()).is_some() {
                return Err(self.wrong(line, "this user stands on an earlier line already"));
            }
        }
        if users.is_empty() { Err(self.empty("user")) } else { Ok(Passwords::new(users)) }
    }

    /// Those that say something, with their numbers.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(at, text)| (at + 1, text.trim()));
        lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#'))
    }

    fn wrong(&self, line: usize, message: &'static str) -> AuthError {
        AuthError::Line { path: self.path.clone(), line, message }
    }

    fn empty(&self, what: &'static str) -> AuthError {
        AuthError::Empty { path: self.path.clone(), what }
    }
}

/// bcrypt's cost doubles the time with each step; at 14 it is about a second.
const DEAREST: u32 = 14;
