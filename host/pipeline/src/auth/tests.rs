//! Who is let in by tokens and passwords, and what changed and wrong files do.

use std::path::Path;

use http::HeaderValue;

use super::*;

fn file(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("secrets");
    std::fs::write(&path, text).unwrap();
    path
}

fn headers(values: &[&str]) -> HeaderMap {
    values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap())).collect()
}

fn basic(pair: &str) -> HeaderMap {
    headers(&[&format!("Basic {}", STANDARD.encode(pair))])
}

#[tokio::test]
async fn a_token_is_known_whole_and_may_name_a_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "# comment\n\nfirst-token\n  second-token   acme \r\n");
    let auth = Auth::new(AuthConfig::Tokens(path)).unwrap();
    assert_eq!(auth.check(&headers(&["Bearer first-token"])).await, Ok(Granted::default()));
    let acme = Granted { tenant: Some("acme".into()) };
    assert_eq!(auth.check(&headers(&["bearer  second-token"])).await, Ok(acme));
    for wrong in ["Bearer first-toke", "Bearer first-token2", "Bearer First-token", "Bearer #", "Bearer acme"] {
        assert_eq!(auth.check(&headers(&[wrong])).await, Err(Denied::Wrong), "{wrong}");
    }
    for missing in [&[][..], &["Bearer"], &["Bearer "], &["Basic Zmlyc3Q="], &["first-token"]] {
        assert_eq!(auth.check(&headers(missing)).await, Err(Denied::Missing), "{missing:?}");
    }
    assert_eq!(auth.check(&headers(&["Bearer first-token", "Bearer x"])).await, Err(Denied::Missing), "which of them?");
}

#[tokio::test]
async fn users_are_known_by_bcrypt_and_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let hash = bcrypt::hash("pass:word", 4).unwrap();
    // `htpasswd -B` writes the version that has the same meaning.
    let text = format!("ann:{}\nbob:{}\n", hash.replacen("$2b$", "$2y$", 1), bcrypt::hash("x", 4).unwrap());
    let auth = Auth::new(AuthConfig::Basic(file(folder.path(), &text))).unwrap();
    for _ in 0..2 {
        assert_eq!(auth.check(&basic("ann:pass:word")).await, Ok(Granted::default()));
        for wrong in ["ann:pass", "bob:pass:word", "eve:pass:word", "ann", ":", "ann:"] {
            assert_eq!(auth.check(&basic(wrong)).await, Err(Denied::Wrong), "{wrong}");
        }
    }
    assert_eq!(auth.check(&headers(&["Basic %%%"])).await, Err(Denied::Missing));
    let checked = match &**auth.known.load() {
        Known::Passwords(passwords) => passwords.remembered(),
        Known::Tokens(_) => unreachable!(),
    };
    assert_eq!(checked, (1, 6));
}

#[tokio::test]
async fn a_changed_file_takes_effect_and_a_wrong_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let auth = Auth::new(AuthConfig::Tokens(file(folder.path(), "old\n"))).unwrap();
    file(folder.path(), "new\n");
    auth.look();
    assert!(auth.check(&headers(&["Bearer old"])).await.is_ok(), "it may still be being written");
    auth.look();
    assert!(auth.check(&headers(&["Bearer old"])).await.is_err());
    assert!(auth.check(&headers(&["Bearer new"])).await.is_ok());
    file(folder.path(), "");
    auth.look();
    auth.look();
    assert!(auth.check(&headers(&["Bearer new"])).await.is_ok());
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_line_and_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let apr1 = "ann:$apr1$sEcReT00$sEcReT";
    let dear = format!("ann:{}", bcrypt::hash("x", 4).unwrap().replacen("$04$", "$15$", 1));
    for (is_basic, text, said) in [
        (false, "ok\n\nsEcReT a b\n", ":3: a line holds a token"),
        (false, "sEcReT\nsEcReT x\n", ":2: this token stands on an earlier line"),
        (false, "sEcReTü\n", ":1: a token is of ASCII"),
        (false, "# nothing\n", "holds no token"),
        (true, "sEcReT\n", ":1: a line is written USER:HASH"),
        (true, apr1, ":1: the password must be hashed by bcrypt"),
        (true, &dear, ":1: its bcrypt cost is above 14"),
        (true, "", "holds no user"),
    ] {
        let path = file(folder.path(), text);
        let config = if is_basic { AuthConfig::Basic(path) } else { AuthConfig::Tokens(path) };
        let error = Auth::new(config).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("secrets") && !error.contains("sEcReT"), "{error}");
    }
    let missing = Auth::new(AuthConfig::Tokens(folder.path().join("none"))).unwrap_err().to_string();
    assert!(missing.contains("cannot read") && missing.contains("none"), "{missing}");
}
