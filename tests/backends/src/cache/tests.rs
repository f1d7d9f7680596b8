//! The cache's key follows the lock files; tools are found on the PATH alone; in CI nothing that is missing is skipped.

use super::*;

#[test]
fn the_key_follows_content_and_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "1").unwrap();
    fs::write(folder.path().join("b"), "1").unwrap();
    let first = key(folder.path(), &["a"]).unwrap();
    assert_ne!(first, key(folder.path(), &["b"]).unwrap());
    fs::write(folder.path().join("a"), "2").unwrap();
    assert_ne!(first, key(folder.path(), &["a"]).unwrap());
    fs::write(folder.path().join("a"), "1").unwrap();
    assert_eq!(first, key(folder.path(), &["a"]).unwrap());
}

#[test]
fn only_programs_on_the_path_count() {
    assert!(on_path("sh"));
    assert!(!on_path("no-such-program-as-this"));
}

#[test]
fn what_is_missing_is_skipped_only_outside_of_ci() {
    let who = "nothing (this is a test of skipping)";
    let (missing, ready) = (|| Obtained::Missing("go"), || Obtained::Ready("here".into()));
    let why = missing().or_skip_unless(true, who).unwrap_err().to_string();
    assert!(why.contains(who) && why.contains("`go`") && why.contains("CI=true"), "{why}");
    assert_eq!(missing().or_skip_unless(false, who).unwrap(), None);
    assert_eq!(ready().or_skip_unless(true, who).unwrap(), Some("here".into()));
    assert!(missing().or_fail(who).is_err());
    assert!([Some("true"), Some("1")].into_iter().all(is_ci));
    assert!(![None, Some(""), Some("false"), Some("0")].into_iter().any(is_ci));
}
