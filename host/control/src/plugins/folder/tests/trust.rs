//! Signatures through the folder: what is refused, what stays, what goes with its key.

use minisign::KeyPair;

use super::trials::of;
use super::*;
use crate::plugins::folder::command::Ask;
use crate::plugins::signature::Key;

struct Signer(KeyPair);

impl Signer {
    fn new() -> Self {
        Self(KeyPair::generate_unencrypted_keypair().unwrap())
    }

    fn keys(&self) -> Keys {
        [Key::read(&self.0.pk.to_base64()).unwrap()].into_iter().collect()
    }

    fn sign(&self, content: &str) -> String {
        minisign::sign(None, &self.0.sk, content.as_bytes(), None, None).unwrap().into_string()
    }
}

impl Setup {
    fn trust(&self, keys: &Keys, required: &[&str]) {
        self.running.reconfigure(Settings { keys: keys.clone(), ..settings(self.folder.path(), required) });
    }

    fn refused(&self) -> Arc<Status> {
        self.until("the refusal", |status, _| step(status) == Some(Step::Signature))
    }
}

fn step(status: &Status) -> Option<Step> {
    Some(status.stages.first()?.error.as_ref()?.step)
}

/// A plugin that is signed, live, and trusted.
fn signed(signer: &Signer, required: &[&str]) -> Setup {
    let setup = Setup::new(&[("10-a.wasm", "ok 1"), ("10-a.wasm.minisig", &signer.sign("ok 1"))], required);
    let first = setup.until_chain(&["a"]);
    assert_eq!(first.stages[0].signature, None, "nobody has asked yet");
    setup.trust(&signer.keys(), required);
    let known = |status: &Status| status.stages[0].signature.as_ref().map(|shown| shown.key.clone());
    let asked = setup.until("who signed it", |status, _| known(status) == Some(signer.keys().to_string()));
    assert_eq!(names(&setup.chains.current()), ["a"]);
    assert!(asked.stages[0].error.is_none());
    setup
}

#[test]
fn an_unsigned_plugin_is_refused_until_its_signature_is_there() {
    let signer = Signer::new();
    let setup = Setup::new(&[], &[]);
    setup.trust(&signer.keys(), &[]);
    setup.put("10-a.wasm", "ok 1");
    let refused = setup.refused();
    let error = refused.stages[0].error.as_ref().unwrap();
    assert!(error.why.contains("there is no 10-a.wasm.minisig"), "{error}");
    assert_eq!((refused.stages[0].state, error.passing), (State::Failed, false));
    assert!(names(&setup.chains.current()).is_empty());
    setup.put("10-a.wasm.minisig", &signer.sign("ok 1"));
    assert_eq!(setup.until_chain(&["a"]).stages[0].error, None);
}

#[test]
fn a_wrongly_signed_version_leaves_the_last_good_one() {
    let signer = Signer::new();
    let setup = signed(&signer, &[]);
    let live = version(&setup.running.status().load(), "a");
    for wrong in [signer.sign("ok 3"), Signer::new().sign("ok 2"), "nonsense".to_owned()] {
        setup.put("10-a.wasm", "ok 2");
        setup.put("10-a.wasm.minisig", &wrong);
        let refused = setup.refused();
        assert_eq!((version(&refused, "a"), refused.stages[0].state), (live.clone(), State::Live));
        assert_eq!(names(&setup.chains.current()), ["a"]);
        setup.put("10-a.wasm", "ok 1");
        setup.put("10-a.wasm.minisig", &signer.sign("ok 1"));
        setup.until("the good one", |status, _| status.stages[0].error.is_none());
    }
    fs::remove_file(setup.folder.path().join("10-a.wasm.minisig")).unwrap();
    assert_eq!(version(&setup.refused(), "a"), live, "what was checked once goes on");
}

#[test]
fn a_plugin_and_its_signature_that_follow_each_other_show_no_error() {
    let signer = Signer::new();
    let setup = signed(&signer, &[]);
    let shown =
        |status: &Status| status.history.iter().filter(|event| event.what.contains("at step signature")).count();
    let mut number = 1;
    for plugin_first in [true, false] {
        // A busy machine may hold up any one of them.
        let quiet = (0..20).any(|_| {
            number += 1;
            let content = format!("ok {number}");
            let mut files = [("10-a.wasm", content.clone()), ("10-a.wasm.minisig", signer.sign(&content))];
            if !plugin_first {
                files.reverse();
            }
            let (before, tried) = (setup.running.status().load_full(), setup.made.load(Ordering::Relaxed));
            setup.put(files[0].0, &files[0].1);
            // The first is not only noticed but tried, and fails.
            wait::until(
                || if setup.made.load(Ordering::Relaxed) > tried { Ok(()) } else { Err("not tried".to_owned()) },
            );
            setup.put(files[1].0, &files[1].1);
            let live = setup.until("the next version", |status, _| {
                version(status, "a") != version(&before, "a") && status.stages[0].error.is_none()
            });
            shown(&live) == shown(&before)
        });
        assert!(quiet, "{:#?}", setup.running.status().load().history);
    }
}

#[test]
fn with_its_key_goes_what_only_that_has_signed() {
    let (signer, other) = (Signer::new(), Signer::new());
    let setup = signed(&signer, &[]);
    setup.trust(&other.keys(), &[]);
    let gone = setup.until_chain(&[]);
    assert_eq!((gone.stages[0].state, gone.stages[0].version.as_ref()), (State::Failed, None));
    assert!(gone.stages[0].error.as_ref().unwrap().why.contains("only"), "{gone:#?}");
    assert!(gone.history.iter().any(|event| event.what.contains("was taken out")), "{gone:#?}");
    let known = signer.keys().to_string();
    setup.trust(&signer.keys(), &[]);
    let back = setup.until_chain(&["a"]);
    assert_eq!(back.stages[0].signature.as_ref().unwrap().key, known);
}

#[test]
fn a_required_plugin_without_a_trusted_key_closes_the_gate_and_stays_in_the_chain() {
    let (signer, other) = (Signer::new(), Signer::new());
    let setup = signed(&signer, &["a"]);
    setup.trust(&other.keys(), &["a"]);
    let refusing = setup.until("the gate", |status, _| status.refusing.is_some());
    assert!(refusing.refusing.as_ref().unwrap().contains("is not signed by a trusted key"), "{refusing:#?}");
    assert!(setup.gate.refuses().is_some());
    assert_eq!(names(&setup.chains.current()), ["a"], "nothing on its way passes without it");
    setup.put("10-a.wasm.minisig", &other.sign("ok 1"));
    setup.until("traffic", |status, _| status.refusing.is_none() && status.stages[0].error.is_none());
    assert!(setup.gate.refuses().is_none());
    setup.trust(&signer.keys(), &["a"]);
    setup.until("the gate", |status, _| status.refusing.is_some());
    setup.trust(&signer.keys(), &[]);
    setup.until_chain(&[]);
    assert!(setup.gate.refuses().is_none(), "it is not required any more, and gone");
}

#[test]
fn without_keys_signatures_count_for_nothing() {
    let setup = Setup::new(&[("10-a.wasm", "ok 1"), ("10-a.wasm.minisig", "nonsense")], &[]);
    let first = setup.until_chain(&["a"]);
    setup.put("10-a.wasm.minisig", "other nonsense");
    setup.put("20-b.wasm", "ok");
    let second = setup.until_chain(&["a", "b"]);
    assert_eq!(first.stages[0].generation, second.stages[0].generation, "it is not made anew");
    assert!(second.notes.is_empty(), "{:?}", second.notes);
}

/// A version by one key that counts, and what another key has signed in the folder, both trusted.
fn of_two_keys(required: &[&str], sidecar: Option<&str>) -> (Setup, Signer, Signer) {
    let (one, other) = (Signer::new(), Signer::new());
    let setup = Setup::new(&[("10-a.wasm", "ok 1"), ("10-a.wasm.minisig", &one.sign("ok 1"))], required);
    setup.until_chain(&["a"]);
    if let Some(sidecar) = sidecar {
        setup.put("10-a.yaml", sidecar);
        setup.stage("another recipe", |stage| stage.generation == Some(2));
    }
    setup.trust(&both(&one, &other), required);
    setup.stage("who signed it", |stage| stage.signature.is_some());
    setup.put("10-a.wasm.minisig", &other.sign("ok 2"));
    setup.put("10-a.wasm", "ok 2");
    setup.stage("the second", |stage| {
        stage.version == of("ok 2") || stage.trial.as_ref().map(|trial| trial.version.clone()) == of("ok 2")
    });
    (setup, one, other)
}

fn both(one: &Signer, other: &Signer) -> Keys {
    [one, other].into_iter().map(|signer| Key::read(&signer.0.pk.to_base64()).unwrap()).collect()
}

#[test]
fn a_key_that_is_taken_away_reaches_what_the_folder_no_longer_holds() {
    let (setup, one, other) = of_two_keys(&[], None);
    setup.ask(Ask::Rollback, "a").unwrap();
    assert_eq!(setup.runs(), (of("ok 1"), None));
    setup.trust(&one.keys(), &[]);
    setup.put("20-b.wasm", "ok");
    setup.put("20-b.wasm.minisig", &one.sign("ok"));
    setup.until_chain(&["a", "b"]);
    assert_eq!(setup.runs(), (of("ok 1"), None), "it is signed by that one");
    setup.trust(&other.keys(), &[]);
    let gone = setup.stage("it to be taken out", |stage| stage.version.is_none());
    assert_eq!((gone.state, gone.held), (State::Failed, of("ok 2")), "what was rolled back stays so");
    assert_eq!(setup.runs().1, None);
    setup.ask(Ask::Promote, "a").unwrap();
    setup.stage("what its key has signed", |stage| stage.version == of("ok 2") && stage.error.is_none());
}

#[test]
fn a_key_that_is_taken_away_reaches_what_counts_beside_a_canary() {
    let (setup, _, other) = of_two_keys(&[], Some("mode: canary\nshare: 5%"));
    assert_eq!(setup.runs(), (of("ok 1"), of("ok 2")));
    setup.trust(&other.keys(), &[]);
    setup.stage("the canary alone", |stage| stage.version.is_none() && stage.trial.is_some());
    assert_eq!(setup.runs(), (None, of("ok 2")));
}

#[test]
fn a_required_version_that_was_rolled_back_to_closes_the_gate_with_its_key_and_opens_it_again() {
    let (setup, one, other) = of_two_keys(&["a"], None);
    setup.ask(Ask::Rollback, "a").unwrap();
    for _ in 0..2 {
        setup.trust(&other.keys(), &["a"]);
        setup.until("the gate", |status, _| status.refusing.is_some());
        assert_eq!(setup.runs(), (of("ok 1"), None), "nothing on its way passes without it");
        setup.trust(&both(&one, &other), &["a"]);
        setup.until("traffic", |status, _| status.refusing.is_none());
        assert!(setup.gate.refuses().is_none());
    }
}

#[test]
fn the_gate_opens_when_a_key_is_trusted_again_though_the_folder_holds_something_unsigned() {
    let signer = Signer::new();
    let setup = signed(&signer, &["a"]);
    fs::remove_file(setup.folder.path().join("10-a.wasm.minisig")).unwrap();
    setup.put("10-a.wasm", "ok 2");
    setup.refused();
    assert!(setup.gate.refuses().is_none(), "the last good one goes on");
    setup.trust(&Signer::new().keys(), &["a"]);
    setup.until("the gate", |status, _| status.refusing.is_some());
    setup.trust(&signer.keys(), &["a"]);
    setup.until("traffic", |status, _| status.refusing.is_none());
    assert_eq!(setup.runs(), (of("ok 1"), None));
}

#[test]
fn asking_for_signatures_makes_nothing_again_that_was_rolled_back() {
    let signer = Signer::new();
    let setup = Setup::new(&[], &[]);
    setup.twice("ok 1", "ok 2");
    setup.put("10-a.wasm.minisig", &signer.sign("ok 2"));
    setup.ask(Ask::Rollback, "a").unwrap();
    setup.trust(&signer.keys(), &[]);
    // Nobody knows who has signed what counted: its files were not looked at for that.
    let gone = setup.stage("it to be taken out", |stage| stage.version.is_none());
    assert_eq!(gone.held, of("ok 2"));
    setup.put("20-b.wasm", "ok");
    setup.put("20-b.wasm.minisig", &signer.sign("ok"));
    setup.until_chain(&["b"]);
    setup.stage("it to be held still", |stage| stage.held == of("ok 2") && stage.version.is_none());
}
