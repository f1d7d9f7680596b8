//! Rolled back after a restart, and to another folder without one.

use super::restart::Place;
use super::trials::of;
use super::*;
use crate::plugins::folder::command::{Ask, Refused};

#[test]
fn after_a_restart_there_is_still_a_version_to_go_back_to() {
    let kept = Place::new();
    let setup = kept.start();
    setup.twice("ok 1", "ok 2");
    let setup = kept.restart(setup);
    let second = setup.stage("the second", |stage| stage.version == of("ok 2"));
    assert_eq!((second.previous, second.held), (of("ok 1"), None));
    let said = setup.ask(Ask::Rollback, "a").unwrap();
    assert!(said.contains("as soon as it is made"), "{said}");
    let first = setup.stage("the first", |stage| stage.version == of("ok 1"));
    assert_eq!((first.previous, first.held), (of("ok 2"), of("ok 2")));
    setup.look();
    assert_eq!(setup.runs(), (of("ok 1"), None));
    // And so it is after the next one.
    let setup = kept.restart(setup);
    let first = setup.stage("the first", |stage| stage.version == of("ok 1"));
    assert_eq!((first.previous, first.held), (of("ok 2"), of("ok 2")));
    setup.ask(Ask::Promote, "a").unwrap();
    let second = setup.stage("the second", |stage| stage.version == of("ok 2"));
    assert_eq!(second.held, None);
}

#[test]
fn what_was_rolled_back_before_a_restart_is_brought_back_by_another_rollback_and_later_versions_are_made() {
    let kept = Place::new();
    let setup = kept.start();
    setup.twice("ok 1", "ok 2").ask(Ask::Rollback, "a").unwrap();
    let setup = kept.restart(setup);
    setup.stage("the first", |stage| stage.version == of("ok 1") && stage.held == of("ok 2"));
    setup.ask(Ask::Rollback, "a").unwrap();
    setup.stage("the second", |stage| stage.version == of("ok 2") && stage.held.is_none());
    setup.put("10-a.wasm", "ok 3");
    setup.stage("the third", |stage| stage.version == of("ok 3"));
}

#[test]
fn what_is_not_kept_is_not_gone_back_to() {
    let kept = Place::new();
    let setup = kept.start();
    setup.twice("ok 1", "ok 2");
    let setup = kept.restart(setup);
    setup.stage("the second", |stage| stage.version == of("ok 2"));
    kept.shelf(setup.folder.path()).keep_only(&[]);
    assert!(matches!(setup.ask(Ask::Rollback, "a"), Err(Refused::Nothing(_))));
    assert_eq!(setup.runs(), (of("ok 2"), None));
}

#[test]
fn each_folder_has_its_own_records() {
    let kept = Place::new();
    let setup = kept.start();
    setup.twice("ok 1", "ok 2").ask(Ask::Rollback, "a").unwrap();
    let (one, other) = (setup.folder.path().to_owned(), tempfile::tempdir().unwrap());
    let before = kept.shelf(&one).records();
    put(other.path(), "10-a.wasm", "ok 3");
    setup.running.reconfigure(settings(other.path(), &[]));
    setup.stage("the third", |stage| stage.version == of("ok 3"));
    put(other.path(), "10-a.wasm", "ok 4");
    setup.stage("the fourth", |stage| stage.version == of("ok 4"));
    setup.ask(Ask::Rollback, "a").unwrap();
    let noted = kept.shelf(other.path()).records();
    let plugin = |content: &str| Some(crate::plugins::digest::Digest::of(content.as_bytes()));
    let held = noted["a"].held.as_ref().map(|held| held.plugin);
    assert_eq!((held, noted["a"].current.as_ref().map(|current| current.plugin)), (plugin("ok 4"), plugin("ok 3")));
    assert_eq!(kept.shelf(&one).records(), before, "the other folder's stay as they were");
    // Back there it is as it was.
    setup.running.reconfigure(settings(&one, &[]));
    setup.stage("the first", |stage| stage.version == of("ok 1") && stage.held == of("ok 2"));
}
