//! The cache's key follows the lock files; tools are found on the PATH alone.

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
