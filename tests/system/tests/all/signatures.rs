//! Who may sign plugins: refused, taken, replaced, revoked, through the real binary and real plugins.

use anyhow::{Context as _, Result};
use harness::proxy::binary;
use harness::spans::Mix;
use harness::{Generator, Profile, Proxy, Sink, plugins, wait};
use minisign::KeyPair;
use serde_json::{Value, json};
use std::process::{Command, Output};
use system::{error_of, failed, stage};

/// A key pair, and its public half as the configuration has it.
struct Signer(KeyPair);

impl Signer {
    fn new() -> Result<Self> {
        Ok(Self(KeyPair::generate_unencrypted_keypair()?))
    }

    fn key(&self) -> String {
        self.0.pk.to_base64()
    }

    fn sign(&self, plugin: &[u8]) -> Result<Vec<u8>> {
        let comment = Some("file:20-stamp.wasm");
        Ok(minisign::sign(Some(&self.0.pk), &self.0.sk, plugin, comment, None)?.into_string().into_bytes())
    }
}

fn version_of(status: &Value) -> Option<&str> {
    stage(status, "stamp")?["version"].as_str()
}

fn is_refused(status: &Value, why: &str) -> bool {
    error_of(status, "stamp").is_some_and(|error| error.contains(": signature: ") && error.contains(why))
}

#[tokio::test]
async fn only_what_a_trusted_key_has_signed_runs_and_the_last_good_version_stays() -> Result<()> {
    let (signer, stranger, sink) = (Signer::new()?, Signer::new()?, Sink::start().await?);
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .set("plugins.signatures.keys", json!([signer.key()]))
        .file("20-stamp.wasm", &plugins::stamp(1)?)?;
    setup
        .run(async |proxy| {
            let mut generator = Generator::new(Profile::Small, 211).mix(Mix::PLAIN);
            let why = failed(proxy, "stamp").await?;
            assert!(why.starts_with("20-stamp.wasm: signature: it is not signed"), "{why}");
            assert!(why.contains("there is no 20-stamp.wasm.minisig"), "{why}");

            // The signature alone makes it run.
            let (before, good) = (proxy.generation().await?, signer.sign(&plugins::stamp(1)?)?);
            proxy.install("20-stamp.wasm.minisig", &good)?;
            let live = proxy.generation_after(before).await?;
            let status = proxy.plugin_status().await?;
            let shown = &stage(&status, "stamp").context("the stage")?["signature"];
            assert_eq!(shown["trusted_comment"], "file:20-stamp.wasm", "{status:#}");
            let version = version_of(&status).context("a version")?.to_owned();

            // A stranger's signature, one of another version, and one that was tampered with.
            let two = plugins::stamp(2)?;
            let mut tampered = signer.sign(&two)?;
            // In the second line, behind the number of the key.
            let place = tampered.iter().position(|byte| *byte == b'\n').context("lines")? + 40;
            tampered[place] = if tampered[place] == b'A' { b'B' } else { b'A' };
            let wrong = [
                (stranger.sign(&two)?, "is by key"),
                (signer.sign(&plugins::stamp(3)?)?, "not about this content"),
                (tampered, "not about this content"),
            ];
            for (signature, why) in wrong {
                proxy.install("20-stamp.wasm", &two)?;
                proxy.install("20-stamp.wasm.minisig", &signature)?;
                let status = proxy.plugin_status_that("the refusal", |status| is_refused(status, why)).await?;
                assert_eq!(version_of(&status), Some(version.as_str()), "{status:#}");
                assert_eq!(proxy.generation().await?, live);
                let made = generator.request(4);
                assert!(proxy.grpc().send(&made.request).await?.is_whole());
                // What is in the folder before is there again, so that each of them is refused anew.
                proxy.install("20-stamp.wasm", &plugins::stamp(1)?)?;
                proxy.install("20-stamp.wasm.minisig", &good)?;
                proxy.plugin_status_that("no error", |status| error_of(status, "stamp").is_none()).await?;
            }
            sink.wait_for_spans(12).await?;
            let all = sink.arrivals(|arrivals| {
                arrivals.ids.values().all(|span| span.stamp.as_deref() == Some("stamp-version-0001"))
            });
            assert!(all, "spans were stamped by what is not trusted");

            proxy.install("20-stamp.wasm", &two)?;
            proxy.install("20-stamp.wasm.minisig", &signer.sign(&two)?)?;
            proxy.generation_after(live).await?;
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_key_that_is_taken_away_refuses_traffic_where_its_plugin_is_required() -> Result<()> {
    let (signer, other, sink) = (Signer::new()?, Signer::new()?, Sink::start().await?);
    let one = plugins::stamp(1)?;
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .set("plugins.signatures.keys", json!([signer.key()]))
        .set("plugins.required", json!(["stamp"]))
        .file("20-stamp.wasm", &one)?
        .file("20-stamp.wasm.minisig", &signer.sign(&one)?)?;
    setup
        .run(async |proxy| {
            let mut generator = Generator::new(Profile::Small, 212).mix(Mix::PLAIN);
            assert!(proxy.grpc().send(&generator.request(4).request).await?.is_whole());
            proxy.configure("plugins.signatures.keys", json!([other.key()]))?;
            let refuses = |status: &Value| {
                status["refusing"].as_str().is_some_and(|why| why.contains("is not signed by a trusted key"))
            };
            proxy.plugin_status_that("traffic to be refused", refuses).await?;
            let client = proxy.grpc();
            let refusal = client.send(&generator.request(4).request).await?.refusal().cloned().context("a refusal")?;
            assert!(refusal.is_retryable(), "{refusal:?}");
            proxy.install("20-stamp.wasm.minisig", &other.sign(&one)?)?;
            let taken = async || client.send(&generator.request(4).request).await.ok()?.is_whole().then_some(());
            wait::until("traffic to be taken again", taken).await?;
            Ok(())
        })
        .await
}

fn inspect(arguments: &[&str]) -> Result<(Output, String)> {
    let output = Command::new(binary()?).arg("inspect").args(arguments).output()?;
    let said = String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned();
    Ok((output, said))
}

#[test]
fn inspect_says_who_has_signed_a_plugin_and_fails_where_it_is_somebody_else() -> Result<()> {
    let (signer, other, place) = (Signer::new()?, Signer::new()?, tempfile::tempdir()?);
    let (file, plugin) = (place.path().join("20-stamp.wasm"), plugins::stamp(1)?);
    let signature = place.path().join("20-stamp.wasm.minisig");
    let key_file = place.path().join("team.pub");
    std::fs::write(&file, &plugin)?;
    std::fs::write(&key_file, signer.0.pk.to_box()?.to_string())?;
    let (path, key_path) = (file.to_string_lossy(), key_file.to_string_lossy());
    let run = |arguments: &[&str]| inspect(&[&[&*path], arguments].concat());

    let (output, said) = run(&[])?;
    assert!(output.status.success() && said.contains("signature none"), "{said}");
    let (output, said) = run(&["--key", &signer.key()])?;
    assert!(output.status.code() == Some(1) && said.contains("not signed by"), "{said}");

    std::fs::write(&signature, signer.sign(&plugin)?)?;
    let (output, said) = run(&[])?;
    assert!(output.status.success() && said.contains("signature not verified") && said.contains("by key"), "{said}");
    for arguments in
        [&["--key", &signer.key()][..], &["--key-file", &key_path], &["--key", &other.key(), "--key", &signer.key()]]
    {
        let (output, said) = run(arguments)?;
        assert!(output.status.success() && said.contains("signature valid, by key"), "{said}");
        assert!(said.contains("trusted comment: file:20-stamp.wasm"), "{said}");
    }
    let (output, said) = run(&["--key", &other.key()])?;
    assert!(
        output.status.code() == Some(1) && said.contains("signature INVALID: 20-stamp.wasm.minisig is by key"),
        "{said}"
    );
    let (output, said) = run(&["--key", "RWQgarbage"])?;
    assert!(output.status.code() == Some(1) && said.contains("is no public key of minisign"), "{said}");

    let (output, _) = run(&["--json", "--key", &signer.key()])?;
    let shown: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(shown["signature"]["state"], "valid", "{shown:#}");
    std::fs::write(&file, plugins::stamp(2)?)?;
    let (output, _) = run(&["--json", "--key", &signer.key()])?;
    let shown: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!((output.status.code(), &shown["signature"]["state"]), (Some(1), &json!("invalid")), "{shown:#}");
    Ok(())
}
