//! Signatures through the folder: what is refused, what stays, what goes with its key.

use minisign::KeyPair;

use super::*;
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
