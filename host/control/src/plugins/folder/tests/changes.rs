//! The ways in which files change: in storms, behind the links of a mounted volume, while nobody can look.

use std::os::unix::fs::symlink;
use std::sync::atomic::AtomicBool;

use super::trials::of;
use super::*;

/// Sees to it that the chain is never without its only stage.
struct Watched {
    over: Arc<AtomicBool>,
    watching: JoinHandle<()>,
}

impl Watched {
    fn start(setup: &Setup) -> Self {
        let (chains, over) = (setup.chains.clone(), Arc::<AtomicBool>::default());
        let ended = over.clone();
        let watching = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                assert_eq!(names(&chains.current()), ["a"]);
            }
        });
        Self { over, watching }
    }

    fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        self.watching.join().unwrap();
    }
}

#[test]
fn another_folder_takes_over_without_a_moment_in_between() {
    let setup = Setup::new(&[("10-a.wasm", "ok one")], &[]);
    setup.until_chain(&["a"]);
    let watched = Watched::start(&setup);
    let other = tempfile::tempdir().unwrap();
    // Its file has not stood still yet.
    put(other.path(), "10-a.wasm", "ok two");
    setup.running.reconfigure(settings(other.path(), &[]));
    setup.until("the other folder's", |status, _| version(status, "a") == of("ok two"));
    watched.end();
    fs::remove_file(other.path().join("10-a.wasm")).unwrap();
    setup.until_chain(&[]);
}

#[test]
fn a_storm_of_rewrites_ends_on_the_last_content_and_the_stage_is_never_gone() {
    let setup = Setup::new(&[("10-a.wasm", "ok first")], &["a"]);
    setup.until_chain(&["a"]);
    let watched = Watched::start(&setup);
    let path = setup.folder.path().join("10-a.wasm");
    for number in 0..100 {
        // In place, by another file of the same name, and by one that is gone for a moment.
        match number % 3 {
            0 => fs::write(&path, format!("ok {number}")).unwrap(),
            1 => setup.put("10-a.wasm", &format!("ok {number}")),
            _ => {
                fs::remove_file(&path).unwrap();
                fs::write(&path, format!("ok {number}")).unwrap();
            }
        }
    }
    let last = setup.until("the last", |status, _| version(status, "a") == of("ok 99"));
    watched.end();
    assert_eq!((last.refusing.as_ref(), setup.gate.refuses()), (None, None));
    assert_eq!(last.stages.iter().filter(|stage| stage.error.is_some()).count(), 0);
}

#[test]
fn files_behind_the_links_of_a_kubernetes_volume_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |file: &str| folder.path().join(file);
    let fill = |version: &str, content: &str, sidecar: &str| {
        fs::create_dir(path(version)).unwrap();
        fs::write(path(version).join("10-a.wasm"), content).unwrap();
        fs::write(path(version).join("10-a.yaml"), sidecar).unwrap();
    };
    fill("..one", "ok one", "on_error: drop");
    symlink("..one", path("..data")).unwrap();
    for file in ["10-a.wasm", "10-a.yaml"] {
        symlink(format!("..data/{file}"), path(file)).unwrap();
    }
    let setup = Setup::over(folder, Arc::default(), &["a"]);
    let first = setup.until("the first", |status, _| version(status, "a") == of("ok one"));
    let path = |file: &str| setup.folder.path().join(file);
    // As the kubelet does it: another folder, another link, moved over the old one.
    fs::create_dir(path("..two")).unwrap();
    fs::write(path("..two").join("10-a.wasm"), "ok two").unwrap();
    fs::write(path("..two").join("10-a.yaml"), "on_error: pass").unwrap();
    symlink("..two", path("..data_tmp")).unwrap();
    fs::rename(path("..data_tmp"), path("..data")).unwrap();
    let second = setup.until("the second", |status, _| version(status, "a") == of("ok two"));
    assert_eq!(second.generation, first.generation + 1, "plugin and sidecar come together");
    fs::remove_dir_all(path("..one")).unwrap();
    assert_eq!(setup.gate.refuses(), None);
}

#[test]
fn receivers_stay_closed_while_a_folder_that_was_never_read_cannot_be() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("plugins");
    // What is no folder cannot be read as one, whoever asks; a mode does not stop root.
    fs::write(&folder, "no folder").unwrap();
    let setup = Setup::at(&folder, place, Arc::default(), &[]);
    let said = |status: &Status| status.notes.iter().any(|note| note.contains("cannot be read"));
    let shared = setup.running.status();
    let told = || if said(&shared.load()) { Ok(()) } else { Err(format!("{:?}", shared.load())) };
    wait::until(told);
    assert!(!*setup.running.opened().borrow() && setup.chains.current().generation == 0);
    fs::remove_file(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    put(&folder, "10-a.wasm", "ok");
    setup.until_chain(&["a"]);
    setup.until_open();
}
