//! The cache before foreign folders, damaged files and a bound.

use std::fs::File;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::SystemTime;

use super::*;

/// A component of nothing, and one of a module with a function.
fn component(engine: &wasmtime::Engine, function: bool) -> (Vec<u8>, Component) {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    if function {
        let module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x04\x01\x02\0\x0b";
        bytes.extend([1, module.len() as u8]);
        bytes.extend(module);
    }
    let component = Component::new(engine, &bytes).expect("it compiles");
    (bytes, component)
}

fn engine() -> wasmtime::Engine {
    wasmtime::Engine::default()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

#[test]
fn what_was_kept_is_found_for_the_same_bytes_and_engine_only() {
    let (place, engine) = (tempfile::tempdir().expect("a folder"), engine());
    let cache = CompileCache::open(&place.path().join("deep/cache"), 1 << 30).expect("a cache");
    let ((one, compiled), (other, _)) = (component(&engine, true), component(&engine, false));
    let key = Key::of(&engine, &one);
    assert!(cache.load(&engine, &key).is_none());
    cache.store(&key, &compiled);
    assert!(cache.load(&engine, &key).is_some());
    assert!(cache.load(&engine, &Key::of(&engine, &other)).is_none());
    let mut config = wasmtime::Config::new();
    config.epoch_interruption(true);
    let another = wasmtime::Engine::new(&config).expect("an engine");
    assert_ne!(Key::of(&another, &one), key);
    // Another process finds it too.
    let again = CompileCache::open(cache.folder(), 1 << 30).expect("a cache");
    assert!(again.load(&engine, &key).is_some());
}

#[test]
fn a_folder_that_others_can_write_to_is_refused() {
    let place = tempfile::tempdir().expect("a folder");
    let (open, link, file) = (place.path().join("open"), place.path().join("link"), place.path().join("file"));
    let refused = |folder: &Path| CompileCache::open(folder, 1).expect_err("not private").to_string();
    fs::create_dir(&open).expect("a folder");
    chmod(&open, 0o770);
    assert!(refused(&open).contains("is open to other users") && refused(&open).contains("chmod 0700"));
    chmod(&open, 0o700);
    symlink(&open, &link).expect("a link");
    assert!(refused(&link).contains("is no folder"));
    fs::write(&file, "").expect("a file");
    assert!(refused(&file).contains(&file.display().to_string()));
    CompileCache::open(&open, 1).expect("it is private now");
}

#[test]
fn files_that_are_damaged_foreign_or_links_are_compiled_anew() {
    let (place, engine) = (tempfile::tempdir().expect("a folder"), engine());
    chmod(place.path(), 0o700);
    let cache = CompileCache::open(place.path(), 1 << 30).expect("a cache");
    let (bytes, compiled) = component(&engine, true);
    let key = Key::of(&engine, &bytes);
    let damage: [fn(&Path); 4] = [
        |path| {
            let mut content = fs::read(path).expect("it is there");
            let middle = content.len() / 2;
            content[middle] ^= 1;
            fs::write(path, content).expect("it is ours");
        },
        |path| fs::write(path, b"not code at all").expect("it is ours"),
        |path| chmod(path, 0o660),
        |path| {
            let moved = path.with_extension("moved");
            fs::rename(path, &moved).expect("it is ours");
            symlink(moved, path).expect("a link");
        },
    ];
    for (number, damage) in damage.into_iter().enumerate() {
        cache.store(&key, &compiled);
        let path = cache.find(&key).expect("it was kept");
        damage(&path);
        assert!(cache.load(&engine, &key).is_none(), "damage {number}");
        assert!(fs::symlink_metadata(&path).is_err(), "damage {number}: it is removed");
    }
    cache.store(&key, &compiled);
    assert!(cache.load(&engine, &key).is_some());
}

#[test]
fn what_was_used_longest_ago_goes_first() {
    let (place, engine) = (tempfile::tempdir().expect("a folder"), engine());
    let folder = place.path().join("cache");
    let ((one, first), (other, second)) = (component(&engine, true), component(&engine, false));
    let (one, other) = (Key::of(&engine, &one), Key::of(&engine, &other));
    let cache = CompileCache::open(&folder, 1 << 30).expect("a cache");
    cache.store(&one, &first);
    let size = cache.0.files().map(|(_, meta)| meta.len()).sum::<u64>();
    let used = |key: &Key, second| {
        let file = File::open(cache.find(key).expect("it is kept")).expect("it is ours");
        file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second)).expect("it is ours");
    };
    used(&one, 1000);
    let small = CompileCache::open(&folder, size).expect("a cache");
    small.store(&other, &second);
    assert!(small.load(&engine, &one).is_none() && small.load(&engine, &other).is_some());
}
