//! Spelling paths: the places in a span that a plan may name. `wit/paths.md` lists them all.

/// The path of a span attribute: `attributes["KEY"]`.
pub fn attribute(key: &str) -> String {
    keyed("attributes", key)
}

/// The path of a resource attribute: `resource.attributes["KEY"]`.
pub fn resource_attribute(key: &str) -> String {
    keyed("resource.attributes", key)
}

/// The path of a scope attribute: `scope.attributes["KEY"]`.
pub fn scope_attribute(key: &str) -> String {
    keyed("scope.attributes", key)
}

/// The path of a header of the request that brought the span: `request.header["KEY"]`.
pub fn request_header(name: &str) -> String {
    keyed("request.header", name)
}

/// `PREFIX["KEY"]`, with quotes and backslashes in the key escaped.
pub fn keyed(prefix: &str, key: &str) -> String {
    let mut path = String::with_capacity(prefix.len() + key.len() + 4);
    path.push_str(prefix);
    path.push_str("[\"");
    for character in key.chars() {
        if matches!(character, '"' | '\\') {
            path.push('\\');
        }
        path.push(character);
    }
    path.push_str("\"]");
    path
}

/// What a person wrote in settings, as a path: a known path as it is, anything else as the key of a span attribute.
///
/// `status.message` stays, `http.route` becomes `attributes["http.route"]`, and so does `attributes["http.route"]`.
pub fn from_settings(written: &str) -> String {
    let is_path = written.ends_with("\"]")
        || matches!(
            written,
            "name"
                | "kind"
                | "flags"
                | "duration"
                | "trace_id"
                | "span_id"
                | "parent_span_id"
                | "trace_state"
                | "status.code"
                | "status.message"
                | "start_time_unix_nano"
                | "end_time_unix_nano"
                | "resource.schema_url"
                | "scope.name"
                | "scope.version"
                | "scope.schema_url"
                | "request.tenant"
                | "request.peer"
        );
    if is_path { written.to_owned() } else { attribute(written) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_quoted_and_escaped() {
        assert_eq!(attribute("http.route"), r#"attributes["http.route"]"#);
        assert_eq!(resource_attribute(r#"a"b\c"#), r#"resource.attributes["a\"b\\c"]"#);
    }

    #[test]
    fn bare_keys_in_settings_are_span_attributes() {
        assert_eq!(from_settings("region"), r#"attributes["region"]"#);
        assert_eq!(from_settings("name"), "name");
        assert_eq!(from_settings(r#"resource.attributes["region"]"#), r#"resource.attributes["region"]"#);
    }
}
