//! The section `tls` of whoever listens: receivers and the admin side. And what it shares with that of destinations.

use std::path::PathBuf;

use pipeline::tls::TlsVersion;
use pipeline::tls::server::TlsConfig;

use super::table::Table;

/// `None` where there is no such section.
pub(super) fn read(table: &mut Table<'_>) -> Option<TlsConfig> {
    let is_there = table.has("tls");
    table.section("tls", |table| {
        let min_version = min_version(table);
        let client_ca_file = table.text("client_ca_file").map(PathBuf::from);
        let (cert, key) = (table.text("cert_file"), table.text("key_file"));
        if is_there {
            for (name, file) in [("cert_file", &cert), ("key_file", &key)] {
                if file.is_none() && !table.has(name) {
                    table.refuse(name, "must name a PEM file: TLS needs `cert_file` and `key_file`");
                }
            }
        }
        Some(TlsConfig { cert_file: cert?.into(), key_file: key?.into(), client_ca_file, min_version })
    })
}

/// The oldest version of TLS that is spoken.
pub(super) fn min_version(table: &mut Table<'_>) -> TlsVersion {
    let versions = [("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];
    table.choice("min_version", &versions).unwrap_or_default()
}
