//! `${env:NAME}` and `${env:NAME:-default}` in scalars. `$${env:NAME}` stands for itself.

/// Where variables come from.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's environment.
pub fn process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// How a variable begins.
pub(super) const OPEN: &str = "${env:";

/// Fills in the variables of a text; `None` if it has none. The error names the variable and what to do.
pub fn substitute(text: &str, lookup: Lookup<'_>) -> Result<Option<String>, String> {
    if !text.contains(OPEN) {
        return Ok(None);
    }
    let mut filled = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(OPEN) {
        let (before, from) = rest.split_at(start);
        let after = &from[OPEN.len()..];
        let Some(end) = after.find('}') else { return Err(format!("{OPEN} without its closing brace")) };
        let inside = &after[..end];
        rest = &after[end + 1..];
        if let Some(before) = before.strip_suffix('$') {
            filled.push_str(before);
            filled.push_str(&from[..=OPEN.len() + end]);
            continue;
        }
        filled.push_str(before);
        filled.push_str(&value_of(inside, lookup)?);
    }
    filled.push_str(rest);
    Ok(Some(filled))
}

fn value_of(inside: &str, lookup: Lookup<'_>) -> Result<String, String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err(format!("\"{name}\" is not the name of an environment variable"));
    }
    // As in a shell, `:-` also stands in for an empty variable.
    match (lookup(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => {
            Err(format!("environment variable {name} is not set; set it, or write ${{env:{name}:-DEFAULT}}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Result<Option<String>, String> {
        let lookup = |name: &str| match name {
            "HOST" => Some("jaeger".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        substitute(text, &lookup)
    }

    #[test]
    fn variables_are_filled_in_wherever_they_stand() {
        let some = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(fill("http://${env:HOST}:4317"), some("http://jaeger:4317"));
        assert_eq!(fill("${env:HOST}${env:HOST}"), some("jaegerjaeger"));
        assert_eq!(fill("${env:GONE:-x:y}"), some("x:y"));
        assert_eq!(fill("${env:EMPTY:-x}"), some("x"));
        assert_eq!(fill("${env:EMPTY}"), some(""));
        assert_eq!(fill("$${env:HOST}"), some("${env:HOST}"));
        assert_eq!(fill("$HOST ${HOST}"), Ok(None));
    }

    #[test]
    fn what_cannot_be_filled_in_is_said() {
        assert!(fill("${env:GONE}").unwrap_err().contains("GONE is not set"));
        assert!(fill("${env:HOST").unwrap_err().contains("closing brace"));
        assert!(fill("${env:}").unwrap_err().contains("not the name"));
    }
}
