//! The headers of a destination's requests: written down, or with values from files.

use std::path::PathBuf;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use pipeline::export::config::{FileHeader, Form, check_headers};

use crate::config::table::Table;

/// `headers`: names and values.
pub(super) fn read(table: &mut Table<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in table.pairs("headers") {
        let Some(name) = name_of(table, "headers", &name) else { continue };
        match HeaderValue::from_str(&value) {
            Ok(mut value) => {
                // Most often a secret: kept out of logs.
                value.set_sensitive(true);
                headers.append(name, value);
            }
            Err(_) => {
                table.refuse("headers", format!("the value of {name} holds characters that a header cannot have"));
            }
        }
    }
    if let Err(error) = check_headers(&headers) {
        table.refuse("headers", error.to_string());
    }
    headers
}

/// `header_files` and `authorization`: headers whose values are in files. None of them may be among `headers`.
pub(super) fn of_files(table: &mut Table<'_>, headers: &HeaderMap) -> Vec<FileHeader> {
    let mut found: Vec<FileHeader> = Vec::new();
    for (name, file) in table.pairs("header_files") {
        let Some(name) = name_of(table, "header_files", &name) else { continue };
        let alone: HeaderMap = [(name.clone(), HeaderValue::from_static(""))].into_iter().collect();
        if let Err(error) = check_headers(&alone) {
            table.refuse("header_files", error.to_string());
        }
        if headers.contains_key(&name) || found.iter().any(|known| known.name == name) {
            table.refuse("header_files", format!("{name} is set twice: leave one of them out"));
        }
        found.push(FileHeader { name, file: file.into(), form: Form::Plain });
    }
    let is_there = table.has("authorization");
    if let Some(authorization) = table.section("authorization", |table| authorization(table, is_there)) {
        if headers.contains_key(header::AUTHORIZATION) || found.iter().any(|known| known.name == header::AUTHORIZATION)
        {
            table.refuse("authorization", "is among the headers too: leave one of them out");
        }
        found.push(authorization);
    }
    found
}

fn authorization(table: &mut Table<'_>, is_there: bool) -> Option<FileHeader> {
    let (has_bearer, has_basic) = (table.has("bearer_file"), table.has("basic"));
    if is_there && !has_bearer && !has_basic {
        table.refuse_whole("needs `bearer_file` or `basic`");
    }
    let of = |file: PathBuf, form| FileHeader { name: header::AUTHORIZATION, file, form };
    let bearer = table.text("bearer_file").map(|file| of(file.into(), Form::Bearer));
    let basic = table.section("basic", |table| {
        let (username, file) = (table.text("username"), table.text("password_file"));
        if has_basic {
            for (key, value) in [("username", &username), ("password_file", &file)] {
                if value.is_none() && !table.has(key) {
                    table.refuse(key, "is needed: basic authentication has a user and the file of a password");
                }
            }
            if username.as_ref().is_some_and(|name| name.contains(':')) {
                table.refuse("username", "must not hold a colon: it ends the name");
            }
        }
        Some(of(file?.into(), Form::Basic { username: username? }))
    });
    if has_bearer && has_basic {
        table.refuse("basic", "one way of authentication is enough: leave out this or `bearer_file`");
    }
    bearer.or(basic)
}

/// A header's name; what is none is noted.
pub(in crate::config) fn name_of(table: &Table<'_>, key: &str, name: &str) -> Option<HeaderName> {
    let parsed = HeaderName::from_bytes(name.as_bytes());
    parsed.map_err(|_| table.refuse(key, format!("\"{name}\" is not the name of a header"))).ok()
}
