//! The detectors: each finds one kind of personal data at a place of a text. They know nothing of spans or actions.
//!
//! All work on bytes, because senders do emit invalid UTF-8, and none allocates. A [`Sieve`] goes over all texts of a call at once, many
//! bytes at a time, and leaves the few places where something could stand; [`scan_within`] asks the detectors there.

pub mod email;
pub mod iban;
pub mod ip;
pub mod number;
pub mod secret;
pub mod sql;
pub mod url;

mod lanes;
mod scan;
mod sieve;

pub use scan::{scan, scan_within};
pub use sieve::{Leads, Sieve};

/// The kinds of personal data, in the order of the settings and of the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// E-mail addresses.
    Email,
    /// Payment card numbers that pass the Luhn check and have an issuer's prefix.
    Card,
    /// International bank account numbers that pass their check digits.
    Iban,
    /// Telephone numbers in international form, and in the North American one.
    Phone,
    /// IPv4 addresses.
    Ipv4,
    /// IPv6 addresses.
    Ipv6,
    /// JSON Web Tokens.
    Jwt,
    /// Bearer and basic credentials, and keys that well-known services issue.
    Token,
    /// User name and password in a URL.
    UrlPassword,
    /// Literals in SQL statements.
    Sql,
    /// Values of sensitive parameters in query strings.
    Query,
    /// The operator's own regular expressions.
    Pattern,
    /// Attributes whose key is on the operator's list.
    Key,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Email,
        Self::Card,
        Self::Iban,
        Self::Phone,
        Self::Ipv4,
        Self::Ipv6,
        Self::Jwt,
        Self::Token,
        Self::UrlPassword,
        Self::Sql,
        Self::Query,
        Self::Pattern,
        Self::Key,
    ];

    /// Its name in settings, counters and replacements.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Phone => "phone",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Jwt => "jwt",
            Self::Token => "token",
            Self::UrlPassword => "url_password",
            Self::Sql => "sql",
            Self::Query => "query",
            Self::Pattern => "pattern",
            Self::Key => "key",
        }
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(u16);

impl Kinds {
    /// Adds a kind.
    pub fn insert(&mut self, kind: Kind) {
        self.0 |= 1 << kind as u8;
    }

    /// Whether it has a kind.
    #[must_use]
    pub fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }
}

/// Where a kind was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// The first byte.
    pub start: usize,
    /// One beyond the last.
    pub end: usize,
    /// What it is.
    pub kind: Kind,
}

/// Letters, digits and the underscore: what makes a word here. Bytes of other scripts count as letters, so that no match begins
/// or ends inside a word of theirs.
#[inline]
#[must_use]
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Whether a match may end before the byte at `at`.
#[inline]
#[must_use]
pub(crate) fn ends_word(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|&byte| !is_word(byte))
}
