//! Signatures made by minisign's own library, and every way in which one does not fit.

use minisign::KeyPair;

use super::*;

const FILE: &str = "10-a.wasm.minisig";

struct Signer(KeyPair);

impl Signer {
    fn new() -> Self {
        Self(KeyPair::generate_unencrypted_keypair().unwrap())
    }

    fn key(&self) -> Key {
        Key::read(&self.0.pk.to_base64()).unwrap()
    }

    fn keys(&self) -> Keys {
        [self.key()].into_iter().collect()
    }

    fn sign(&self, content: &[u8]) -> String {
        let comment = Some("file:10-a.wasm\tby the team");
        minisign::sign(Some(&self.0.pk), &self.0.sk, content, comment, None).unwrap().into_string()
    }
}

/// By minisign 0.7 and 0.11 over `test`, with and without hashing it first.
const OLD_KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
const LEGACY: &str = "untrusted comment: signature from minisign secret key
RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC351vwIasSSbXxwA=
trusted comment: timestamp:1555779966\tfile:test
QtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaOAA==";
const HASHED: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1633700835\tfile:test\tprehashed
wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==";

#[test]
fn what_a_trusted_key_has_signed_is_trusted_and_says_so() {
    let (signer, other) = (Signer::new(), Signer::new());
    let signature = signer.sign(b"plugin");
    let keys: Keys = [other.key(), signer.key()].into_iter().collect();
    let signed = keys.verify(b"plugin", FILE, signature.as_bytes()).unwrap();
    assert_eq!(signed.by, signer.key());
    assert_eq!(signed.comment, "file:10-a.wasm by the team");
    assert_eq!(claimed(FILE, signature.as_bytes()).unwrap(), signed.shown());
    assert!(keys.trust(Some(&signed)) && signer.keys().trust(Some(&signed)));
    assert!(!other.keys().trust(Some(&signed)) && !keys.trust(None));
    assert!(Keys::default().trust(None));
}

#[test]
fn both_kinds_of_signatures_are_known() {
    let keys: Keys = [Key::read(OLD_KEY).unwrap()].into_iter().collect();
    assert_eq!(keys.to_string(), "E7620F1842B4E81F");
    for signature in [LEGACY, HASHED] {
        keys.verify(b"test", FILE, signature.as_bytes()).unwrap();
        let why = keys.verify(b"Test", FILE, signature.as_bytes()).unwrap_err();
        assert!(why.contains("not about this content"), "{why}");
    }
}

#[test]
fn another_content_is_refused() {
    let signer = Signer::new();
    let signature = signer.sign(b"plugin");
    let why = signer.keys().verify(b"plug1n", FILE, signature.as_bytes()).unwrap_err();
    assert!(why.starts_with(FILE) && why.contains("not about this content"), "{why}");
    assert!(why.contains(&signer.key().id().to_string()), "{why}");
}

#[test]
fn no_byte_of_a_signature_can_be_changed() {
    let signer = Signer::new();
    let (keys, signature) = (signer.keys(), signer.sign(b"plugin"));
    let free = signature.find('\n').unwrap();
    for at in free + 1..signature.trim_end().len() {
        let mut changed = signature.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'Q' } else { b'A' };
        let refused = keys.verify(b"plugin", FILE, &changed);
        assert!(refused.is_err(), "byte {at}: {:?}", String::from_utf8_lossy(&changed));
    }
}

#[test]
fn an_unknown_key_is_named_beside_those_that_are_known() {
    let (signer, other) = (Signer::new(), Signer::new());
    let why = other.keys().verify(b"plugin", FILE, signer.sign(b"plugin").as_bytes()).unwrap_err();
    assert!(why.contains(&format!("is by key {}", signer.key().id())), "{why}");
    assert!(why.contains(&format!("only {} is trusted", other.key().id())), "{why}");
}

#[test]
fn a_key_that_only_has_the_number_of_a_trusted_one_is_refused() {
    let (signer, other) = (Signer::new(), Signer::new());
    let trusted = signer.key();
    let mut forged = STANDARD.decode(other.0.pk.to_base64()).unwrap();
    forged[ID].copy_from_slice(&trusted.id.0);
    let forged = Key::read(&STANDARD.encode(forged)).unwrap();
    assert_eq!(forged.id(), trusted.id());
    let signed = signer.keys().verify(b"plugin", FILE, signer.sign(b"plugin").as_bytes()).unwrap();
    let keys: Keys = [forged].into_iter().collect();
    assert!(!keys.trust(Some(&signed)));
    assert!(keys.verify(b"plugin", FILE, signer.sign(b"plugin").as_bytes()).is_err());
}

#[test]
fn what_is_no_signature_is_said_to_be_none() {
    let keys = Signer::new().keys();
    let large = vec![b'a'; LARGEST + 1];
    for garbage in [&b""[..], b"RWQ", b"\xff\xfe", b"a\nb\nc\nd\n", &large] {
        let why = keys.verify(b"plugin", FILE, garbage).unwrap_err();
        assert!(why.starts_with("10-a.wasm.minisig is no signature of minisign"), "{why}");
    }
    let why = keys.unsigned(FILE);
    assert!(why.contains("there is no 10-a.wasm.minisig") && why.contains("minisign -Sm 10-a.wasm"), "{why}");
}

#[test]
fn a_key_is_a_line_or_a_whole_file() {
    let signer = Signer::new();
    let file = signer.0.pk.to_box().unwrap().into_string();
    assert!(file.starts_with("untrusted comment:"));
    assert_eq!(Key::read(&file), Ok(signer.key()));
    let secret = signer.0.sk.to_box(None).unwrap().into_string();
    for garbage in ["", "RWQ", "untrusted comment: x", &format!("{OLD_KEY}\n{OLD_KEY}"), &OLD_KEY[1..], &secret] {
        assert!(Key::read(garbage).unwrap_err().contains("is no public key of minisign"), "{garbage}");
    }
}
