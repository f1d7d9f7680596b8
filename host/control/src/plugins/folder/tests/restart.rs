//! What a restart finds again: which version counts, what was rolled back, what was withdrawn.

use super::trials::{SHADOW, of};
use super::*;
use crate::plugins::folder::command::Ask;
use crate::plugins::status::Stage;

/// Where versions are kept from one start to the next.
pub(super) struct Place(tempfile::TempDir);

impl Place {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn shelf(&self, plugins: &Path) -> Arc<Shelf> {
        Arc::new(Shelf::open(self.0.path(), plugins, 1 << 20).unwrap())
    }

    pub(super) fn start(&self) -> Setup {
        let folder = tempfile::tempdir().unwrap();
        let shelf = self.shelf(folder.path());
        Setup::over(folder, shelf, &[])
    }

    pub(super) fn restart(&self, setup: Setup) -> Setup {
        self.restart_held(setup, Arc::default())
    }

    fn restart_held(&self, setup: Setup, held: Arc<Held>) -> Setup {
        let Setup { folder, running, .. } = setup;
        drop(running);
        let shelf = self.shelf(folder.path());
        let plugins = folder.path().to_owned();
        Setup::held(&plugins, folder, shelf, &[], held)
    }

    /// The names of all plugin files that are kept.
    fn files(&self) -> Vec<PathBuf> {
        let folders = fs::read_dir(self.0.path()).unwrap().flatten();
        let files = folders.flat_map(|folder| fs::read_dir(folder.path()).unwrap().flatten());
        files.map(|file| file.path()).filter(|file| file.extension().is_some_and(|ending| ending == "wasm")).collect()
    }
}

impl Setup {
    /// One version after another, both live.
    pub(super) fn twice(&self, first: &str, second: &str) -> &Self {
        for content in [first, second] {
            self.put("10-a.wasm", content);
            self.stage(content, |stage| stage.version == of(content));
        }
        self
    }

    /// The folder was looked at, and nothing came of it for the first stage.
    pub(super) fn look(&self) {
        self.put("20-b.wasm", "ok");
        self.until_chain(&["a", "b"]);
    }
}

#[test]
fn a_restart_keeps_to_what_was_promoted_and_to_what_was_rolled_back() {
    let kept = Place::new();
    let setup = kept.start();
    let said = setup.twice("ok 1", "ok 2").ask(Ask::Rollback, "a").unwrap();
    assert!(!said.contains("until a restart"), "{said}");

    // The folder holds the second, which was rolled back.
    let setup = kept.restart(setup);
    let first = setup.stage("the first", |stage| stage.version == of("ok 1"));
    assert_eq!((first.held, setup.runs()), (of("ok 2"), (of("ok 1"), None)));
    assert_eq!(setup.chains.current().generation, 1, "nothing else was ever published");

    // A third in the shadow, then promoted.
    setup.put("10-a.yaml", SHADOW);
    setup.put("10-a.wasm", "ok 3");
    let is_third = |stage: &Stage| stage.trial.as_ref().map(|trial| trial.version.clone()) == of("ok 3");
    setup.stage("the third to be tried", is_third);
    let setup = kept.restart(setup);
    setup.stage("the third to be tried", is_third);
    assert_eq!(setup.runs(), (of("ok 1"), of("ok 3")), "it is tried again beside the one that counts");
    setup.ask(Ask::Promote, "a").unwrap();
    let setup = kept.restart(setup);
    setup.stage("the third", |stage| stage.version == of("ok 3"));
    assert_eq!(setup.runs(), (of("ok 3"), None));

    // Once the folder says it, that needs no note.
    setup.remove("10-a.yaml");
    setup.stage("another recipe", |stage| stage.generation == Some(2));
    let current = || kept.shelf(setup.folder.path()).records().remove("a").and_then(|record| record.current);
    wait::until(|| if current().is_none() { Ok(()) } else { Err(format!("{:?}", current())) });
}

#[test]
fn a_promotion_survives_a_failure_that_passes() {
    let kept = Place::new();
    let setup = kept.start();
    setup.put("10-a.wasm", "ok 1");
    setup.until_chain(&["a"]);
    setup.put("10-a.yaml", SHADOW);
    setup.stage("another recipe", |stage| stage.generation == Some(2));
    setup.put("10-a.wasm", "late 1");
    setup.stage("a trial", |stage| stage.trial.is_some());
    setup.ask(Ask::Promote, "a").unwrap();
    // The first attempt of the next start fails too.
    let setup = kept.restart(setup);
    setup.stage("what was promoted", |stage| stage.version == of("late 1"));
    assert_eq!(setup.runs(), (of("late 1"), None));
    setup.look();
    let setup = kept.restart(setup);
    setup.stage("what was promoted", |stage| stage.version == of("late 1"));
}

#[test]
fn a_rollback_survives_a_failure_that_passes() {
    let kept = Place::new();
    let setup = kept.start();
    setup.twice("late 1", "ok 2").ask(Ask::Rollback, "a").unwrap();
    let setup = kept.restart(setup);
    let stage = setup.stage("what counted", |stage| stage.version.is_some());
    assert_eq!((stage.version, stage.held), (of("late 1"), of("ok 2")));
    assert_eq!(setup.chains.current().generation, 1, "nothing else was ever published");
}

#[test]
fn what_cannot_count_for_good_leaves_the_word_to_the_folder() {
    let kept = Place::new();
    let setup = kept.start();
    setup.twice("ok 1", "ok 2").ask(Ask::Rollback, "a").unwrap();
    for file in kept.files() {
        fs::write(file, "spoilt").unwrap();
    }
    let setup = kept.restart(setup);
    setup.stage("what the folder holds", |stage| stage.version == of("ok 2") && stage.held.is_none());
}

#[test]
fn a_canary_that_was_withdrawn_is_not_tried_again() {
    let kept = Place::new();
    let setup = kept.start();
    setup.put("10-a.wasm", "ok 1");
    setup.until_chain(&["a"]);
    setup.put("10-a.yaml", "mode: canary\nshare: 100%");
    setup.stage("another recipe", |stage| stage.generation == Some(2));
    setup.put("10-a.wasm", "ok fails 2");
    setup.stage("a canary", |stage| stage.trial.is_some());
    setup.run_batches();
    let withdrawn = setup.stage("it to be withdrawn", |stage| stage.trial.is_none());
    assert_eq!(withdrawn.error.map(|error| error.step), Some(Step::Trial));
    setup.look();
    let stage = setup.stage("its error to stay", |stage| stage.error.is_some());
    assert_eq!((stage.version, stage.held), (of("ok 1"), of("ok fails 2")));
    let setup = kept.restart(setup);
    setup.until_chain(&["a", "b"]);
    assert_eq!(setup.runs(), (of("ok 1"), None));
    setup.stage("it to be held", |stage| stage.held == of("ok fails 2"));
}

#[test]
fn a_first_version_that_was_withdrawn_is_not_tried_again_either() {
    let kept = Place::new();
    let setup = kept.start();
    setup.put("10-a.yaml", "mode: canary\nshare: 100%");
    setup.put("10-a.wasm", "ok fails 1");
    setup.stage("a canary", |stage| stage.trial.is_some());
    setup.run_batches();
    setup.stage("it to be withdrawn", |stage| stage.state == State::Failed && stage.held == of("ok fails 1"));
    let setup = kept.restart(setup);
    setup.put("20-b.wasm", "ok");
    setup.until_chain(&["b"]);
    let held = setup.stage("it to be held", |stage| stage.held == of("ok fails 1"));
    assert_eq!((held.state, held.trial), (State::Failed, None));
    setup.ask(Ask::Promote, "a").unwrap();
    setup.stage("it to be tried again", |stage| stage.trial.is_some());
}

#[test]
fn a_version_that_fails_leaves_the_one_that_counted() {
    let kept = Place::new();
    let setup = kept.start();
    setup.put("10-a.wasm", "ok 1");
    setup.until_chain(&["a"]);
    setup.put("10-a.wasm", "broken");
    setup.stage("the error", |stage| stage.error.is_some());
    let setup = kept.restart(setup);
    setup.stage("the error again", |stage| stage.error.is_some() && stage.version == of("ok 1"));
}

#[test]
fn what_was_noted_stays_while_the_folder_or_a_file_cannot_be_read() {
    let kept = Place::new();
    let setup = kept.start();
    setup.twice("ok 1", "ok 2").ask(Ask::Rollback, "a").unwrap();
    let noted = || kept.shelf(setup.folder.path()).records();
    wait::until(|| if noted().is_empty() { Err("nothing is noted".to_owned()) } else { Ok(()) });
    let noted = noted();
    let is_back = |stage: &Stage| stage.version == of("ok 1") && stage.held == of("ok 2");

    let Setup { folder, running, .. } = setup;
    drop(running);
    let (plugins, aside) = (folder.path().to_owned(), folder.path().with_extension("aside"));
    let shelf = kept.shelf(&plugins);
    fs::rename(&plugins, &aside).unwrap();
    let setup = Setup::at(&plugins, folder, shelf, &[]);
    setup.until("a note", |status, _| status.settled && !status.notes.is_empty());
    assert_eq!(kept.shelf(&plugins).records(), noted);
    fs::rename(&aside, &plugins).unwrap();
    setup.stage("what counted", is_back);

    let Setup { folder, running, .. } = setup;
    drop(running);
    let (file, aside) = (plugins.join("10-a.wasm"), plugins.join("aside"));
    fs::rename(&file, &aside).unwrap();
    fs::create_dir(&file).unwrap();
    let shelf = kept.shelf(&plugins);
    let setup = Setup::at(&plugins, folder, shelf, &[]);
    let unread = setup.until("an error", |status, _| status.settled && !status.stages.is_empty());
    assert_eq!(unread.stages[0].error.as_ref().map(|error| error.step), Some(Step::Read));
    assert_eq!(kept.shelf(&plugins).records(), noted);
    fs::remove_dir(&file).unwrap();
    fs::rename(&aside, &file).unwrap();
    setup.stage("what counted", is_back);
}

#[test]
fn a_file_that_cannot_be_read_for_a_while_does_not_stop_what_counted_from_coming_back() {
    let kept = Place::new();
    let setup = kept.start();
    setup.twice("held 1", "ok 2").ask(Ask::Rollback, "a").unwrap();
    let held = Arc::<Held>::default();
    let turn = held.turn.lock().unwrap();
    let setup = kept.restart_held(setup, held.clone());
    setup.until_makers(1);
    let (file, aside) = (setup.folder.path().join("10-a.wasm"), setup.folder.path().join("aside"));
    fs::rename(&file, &aside).unwrap();
    fs::create_dir(&file).unwrap();
    let shared = setup.running.status();
    let error = || shared.load().stages.first().and_then(|stage| stage.error.clone());
    wait::until(|| error().map(|_| ()).ok_or_else(|| "no error".to_owned()));
    drop(turn);
    fs::remove_dir(&file).unwrap();
    fs::rename(&aside, &file).unwrap();
    setup.stage("what counted", |stage| stage.version == of("held 1") && stage.held == of("ok 2"));
    let over = |phase| matches!(phase, Phase::Live | Phase::Retired | Phase::Failed);
    assert!(setup.phases().into_iter().all(|(_, phase)| over(phase)), "{:?}", setup.phases());
}

#[test]
fn versions_that_nobody_needs_are_not_kept() {
    let kept = Place::new();
    let setup = kept.start();
    setup.put("10-a.wasm", "ok 0");
    setup.until_chain(&["a"]);
    setup.put("10-a.yaml", SHADOW);
    setup.stage("another recipe", |stage| stage.generation == Some(2));
    for number in 1..=5 {
        let content = format!("ok {number}");
        setup.put("10-a.wasm", &content);
        setup.stage("a trial", |stage| stage.trial.as_ref().map(|trial| trial.version.clone()) == of(&content));
    }
    wait::until(|| if kept.files().len() <= 2 { Ok(()) } else { Err(format!("{:?}", kept.files())) });
    // What an earlier start has left behind goes as well.
    let shelf = kept.shelf(setup.folder.path());
    let left = crate::plugins::digest::Digest::of(b"left");
    let left = crate::plugins::shelf::Key { plugin: left, sidecar: None, signature: None };
    shelf.put(&left, false, &Files { plugin: b"left", sidecar: None, signature: None });
    let setup = kept.restart(setup);
    setup.stage("a trial", |stage| stage.trial.is_some() && stage.version == of("ok 0"));
    wait::until(|| if shelf.find(&left).is_none() { Ok(()) } else { Err("it is still there".to_owned()) });
    assert_eq!(setup.runs(), (of("ok 0"), of("ok 5")));
}
