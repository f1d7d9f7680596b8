//! Who asks a registry: nobody in particular, unless the configuration or docker's file says so.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_client::secrets::RegistryAuth;
use serde_json::Value;

use crate::config::plugins::oci::{Oci, Password};

/// Docker's own registry is called so in its file, and otherwise in references.
const HUB: [&str; 2] = ["index.docker.io", "docker.io"];

/// Who asks this registry. The error is for people.
pub fn login(settings: &Oci, registry: &str) -> Result<RegistryAuth, String> {
    if let Some(known) = settings.credentials.iter().find(|known| known.host == registry) {
        let password = match &known.password {
            Password::Text(text) => text.clone(),
            Password::File(file) => {
                let text = read(file)?;
                text.trim_end_matches(['\r', '\n']).to_owned()
            }
        };
        return Ok(RegistryAuth::Basic(known.username.clone(), password));
    }
    let Some(file) = &settings.docker_config else { return Ok(RegistryAuth::Anonymous) };
    of_docker(&read(file)?, registry).map_err(|why| format!("{}: {why}", file.display()))
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))
}

fn of_docker(text: &str, registry: &str) -> Result<RegistryAuth, String> {
    // The parser's own words would show a part of the file.
    let file: Value = serde_json::from_str(text).map_err(|_| "it is not JSON")?;
    let auths = file.get("auths").and_then(Value::as_object);
    let entry = auths.into_iter().flatten().find(|(host, _)| is_same(host, registry)).map(|(_, entry)| entry);
    if let Some(auth) = entry.and_then(|entry| entry.get("auth")).and_then(Value::as_str) {
        let decoded = STANDARD.decode(auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
        let (user, password) = pair.ok_or_else(|| format!("`auth` of {registry} is not base64 of USER:PASSWORD"))?;
        return Ok(RegistryAuth::Basic(user.to_owned(), password.to_owned()));
    }
    let part = |name: &str| entry.and_then(|entry| entry.get(name)).and_then(Value::as_str);
    if let (Some(user), Some(password)) = (part("username"), part("password")) {
        return Ok(RegistryAuth::Basic(user.to_owned(), password.to_owned()));
    }
    if entry.is_some() && (file.get("credsStore").is_some() || file.get("credHelpers").is_some()) {
        return Err(format!(
            "the credentials of {registry} are in a helper, which is not asked: use plugins.oci.credentials"
        ));
    }
    Ok(RegistryAuth::Anonymous)
}

/// Hosts stand there as they are, as URLs, or with a path behind them.
fn is_same(host: &str, registry: &str) -> bool {
    let host = host.split_once("://").map_or(host, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    host == registry || HUB.contains(&host) && HUB.contains(&registry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plugins::oci::Credentials;

    fn basic(user: &str, password: &str) -> RegistryAuth {
        RegistryAuth::Basic(user.to_owned(), password.to_owned())
    }

    #[test]
    fn nobody_asks_unless_somebody_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "secret\n").unwrap();
        let known = |host: &str, password| Credentials { host: host.into(), username: "robot".into(), password };
        let credentials =
            vec![known("a.example", Password::Text("x".into())), known("b.example:5000", Password::File(file))];
        let settings = Oci { credentials, ..Oci::default() };
        assert_eq!(login(&settings, "a.example"), Ok(basic("robot", "x")));
        assert_eq!(login(&settings, "b.example:5000"), Ok(basic("robot", "secret")));
        assert_eq!(login(&settings, "b.example"), Ok(RegistryAuth::Anonymous), "another port is another registry");
        assert!(!format!("{settings:?}").contains("\"x\""), "{settings:?}");
    }

    #[test]
    fn docker_keeps_them_by_host_in_several_writings() {
        let auth = STANDARD.encode("robot:a:b");
        let text = format!(
            r#"{{ "auths": {{ "a.example": {{ "auth": "{auth}" }}, "https://index.docker.io/v1/": {{ "username": "me", "password": "p" }},
               "bad.example": {{ "auth": "???" }} }} }}"#
        );
        assert_eq!(of_docker(&text, "a.example"), Ok(basic("robot", "a:b")));
        assert_eq!(of_docker(&text, "docker.io"), Ok(basic("me", "p")));
        assert_eq!(of_docker(&text, "other.example"), Ok(RegistryAuth::Anonymous));
        assert!(of_docker(&text, "bad.example").unwrap_err().contains("bad.example"));
        assert_eq!(of_docker("{}", "a.example"), Ok(RegistryAuth::Anonymous));
        let helper = r#"{ "auths": { "a.example": {} }, "credsStore": "pass" }"#;
        assert!(of_docker(helper, "a.example").unwrap_err().contains("helper"));
        assert_eq!(of_docker("secret", "a.example"), Err("it is not JSON".to_owned()));
    }
}
