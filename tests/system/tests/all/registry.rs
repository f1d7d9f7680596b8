//! Plugins out of a real registry: pulled, kept, pinned, refused.
//!
//! The registry is built by Go, so what needs it belongs to `cargo xtask test --full`.

use anyhow::{Context as _, Result};
use harness::proxy::{Setup, binary};
use harness::registry::WASM;
use harness::tls::Authority;
use harness::{Proxy, Registry, TlsDoor, plugins, wait};
use oci_client::manifest::OciImageManifest;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use system::{error_of, failed, stage};

/// A proxy that keeps what it pulls in `cache`, and may ask the registry over plain HTTP.
fn setup(registry: &Registry, cache: &Path) -> Result<Setup> {
    Ok(Proxy::setup()?
        .set("plugins.oci.insecure", json!([registry.host()]))
        .set("plugins.oci.cache.folder", cache.display().to_string())
        .set("plugins.oci.timeout", "10s"))
}

fn is_live(status: &Value) -> bool {
    stage(status, "stamp").is_some_and(|stage| stage["state"] == "live" && stage["error"].is_null())
}

fn is_refused(status: &Value, why: &str) -> bool {
    error_of(status, "stamp").is_some_and(|error| error.contains(": pull: ") && error.contains(why))
}

fn version_of(status: &Value) -> Option<String> {
    Some(stage(status, "stamp")?["version"].as_str()?.to_owned())
}

#[tokio::test]
#[ignore = "long: cargo xtask test --full"]
async fn a_plugin_is_pulled_once_and_a_restart_needs_no_registry() -> Result<()> {
    let Some(mut registry) = Registry::start().await? else { return Ok(()) };
    let place = tempfile::tempdir()?;
    let cache = place.path().join("pulled");
    let first = registry.push("team/stamp", &plugins::stamp(1)?, WASM).await?;
    let second = registry.push("team/stamp", &plugins::stamp(2)?, WASM).await?;
    let mut proxy = setup(&registry, &cache)?.file("20-stamp.oci", first.as_bytes())?.start().await?;
    let status = proxy.plugin_status_that("it to be live", is_live).await?;
    assert_eq!(stage(&status, "stamp").context("the stage")?["file"], "20-stamp.oci");
    let version = version_of(&status).context("a version")?;
    let before = proxy.generation().await?;
    proxy.install("20-stamp.oci", second.as_bytes())?;
    proxy.generation_after(before).await?;
    assert_ne!(version_of(&proxy.plugin_status().await?), Some(version.clone()));
    assert!(proxy.stop().await?.success());

    registry.stop().await?;
    let mut proxy = setup(&registry, &cache)?.file("20-stamp.oci", first.as_bytes())?.start().await?;
    let status = proxy.plugin_status_that("it to be live again", is_live).await?;
    assert_eq!(version_of(&status), Some(version));

    // What is not here waits for the registry, and what runs goes on; a file of the folder does not wait for it.
    let third = format!("oci://{}/team/other@sha256:{}", registry.host(), "0".repeat(64));
    proxy.install("20-stamp.oci", third.as_bytes())?;
    let down = |status: &Value| {
        error_of(status, "stamp").is_some()
            && stage(status, "stamp").is_some_and(|stage| stage["error"]["passing"] == true)
    };
    let status = proxy.plugin_status_that("the registry to be missed", down).await?;
    assert_eq!(stage(&status, "stamp").context("the stage")?["state"], "live");
    registry.start_again().await?;
    let unknown = |status: &Value| is_refused(status, "manifest unknown");
    let status = proxy.plugin_status_that("another attempt", unknown).await?;
    assert!(stage(&status, "stamp").is_some_and(|stage| stage["state"] == "live"), "{status:#}");
    assert!(proxy.stop().await?.success());
    Ok(())
}

#[tokio::test]
#[ignore = "long: cargo xtask test --full"]
async fn a_registry_that_is_down_is_asked_again_until_it_is_there() -> Result<()> {
    let Some(mut registry) = Registry::start().await? else { return Ok(()) };
    let place = tempfile::tempdir()?;
    let reference = registry.push("stamp", &plugins::stamp(1)?, WASM).await?;
    registry.stop().await?;
    let setup = setup(&registry, &place.path().join("pulled"))?.file("20-stamp.oci", reference.as_bytes())?;
    setup
        .run(async |proxy| {
            let why = failed(proxy, "stamp").await?;
            assert!(why.starts_with("20-stamp.oci: pull: oci://"), "{why}");
            registry.start_again().await?;
            proxy.plugin_status_that("it to be pulled", is_live).await?;
            Ok(())
        })
        .await
}

#[tokio::test]
#[ignore = "long: cargo xtask test --full"]
async fn what_the_digest_does_not_name_is_refused() -> Result<()> {
    let Some(registry) = Registry::start().await? else { return Ok(()) };
    let place = tempfile::tempdir()?;
    let good = registry.push("good", &plugins::stamp(1)?, WASM).await?;
    let two = plugins::stamp(2)?;
    let digest_of =
        |reference: &str| reference.rsplit_once('@').map(|(_, digest)| digest.to_owned()).context("a digest");

    let other_type = registry.push("other-type", &two, "application/x-sh").await?;
    registry.push("large", &two, WASM).await?;
    let large = registry.push_changed("large", |manifest| manifest.layers[0].size = 257 << 20).await?;
    registry.push("longer", &two, WASM).await?;
    let longer = registry.push_changed("longer", |manifest| manifest.layers[0].size = 100).await?;
    // Whoever can write to the registry's disk changes what a digest stands for.
    let mut layer = String::new();
    registry.push("layer", &plugins::stamp(3)?, WASM).await?;
    let bad_layer = registry
        .push_changed("layer", |manifest: &mut OciImageManifest| layer.clone_from(&manifest.layers[0].digest))
        .await?;
    std::fs::write(registry.blob(&layer), &two)?;
    let bad_manifest = registry.push("manifest", &plugins::stamp(4)?, WASM).await?;
    let forged = std::fs::read(registry.blob(&digest_of(&good)?))?;
    std::fs::write(registry.blob(&digest_of(&bad_manifest)?), forged)?;

    let tag = format!("oci://{}/good:latest", registry.host());
    let cases = [
        (tag, false, "has no digest"),
        (other_type, false, "one layer of type application/wasm, and has application/x-sh"),
        (large, false, "257 MiB, more than the 256 MiB"),
        (longer, true, "more than the 100 bytes"),
        (bad_layer, true, "Expected sha256:"),
        (bad_manifest, true, "Expected sha256:"),
        (format!("oci://{}/good@sha256:{}", registry.host(), "1".repeat(64)), true, "manifest unknown"),
    ];
    let setup = setup(&registry, &place.path().join("pulled"))?.file("20-stamp.oci", good.as_bytes())?;
    setup
        .run(async |proxy| {
            let status = proxy.plugin_status_that("it to be live", is_live).await?;
            let (version, generation) = (version_of(&status), proxy.generation().await?);
            for (reference, passing, why) in &cases {
                proxy.install("20-stamp.oci", reference.as_bytes())?;
                let status = proxy.plugin_status_that(reference, |status| is_refused(status, why)).await?;
                let error = &stage(&status, "stamp").context("the stage")?["error"];
                assert_eq!(error["passing"].as_bool().unwrap_or(false), *passing, "{error:#}");
                assert_eq!(
                    (version_of(&status), proxy.generation().await?),
                    (version.clone(), generation),
                    "{reference}"
                );
                proxy.install("20-stamp.oci", good.as_bytes())?;
                proxy.plugin_status_that("no error", is_live).await?;
            }
            let kept = std::fs::read_dir(place.path().join("pulled"))?.count();
            assert_eq!(kept, 1, "only what was whole is kept");
            Ok(())
        })
        .await
}

#[tokio::test]
#[ignore = "long: cargo xtask test --full"]
async fn a_registry_may_ask_who_it_is() -> Result<()> {
    let Some(registry) = Registry::start_for(Some(("robot", "a secret"))).await? else { return Ok(()) };
    let place = tempfile::tempdir()?;
    let reference = registry.push("private/stamp", &plugins::stamp(1)?, WASM).await?;
    let password = place.path().join("password");
    std::fs::write(&password, "wrong\n")?;
    let setup = setup(&registry, &place.path().join("pulled"))?.file("20-stamp.oci", reference.as_bytes())?;
    setup
        .run(async |proxy| {
            let why = failed(proxy, "stamp").await?;
            assert!(why.contains("plugins.oci.credentials"), "{why}");
            // The host's name holds dots, so that the whole section is set.
            let credentials = json!({ registry.host(): { "username": "robot", "password_file": password } });
            proxy.configure("plugins.oci.credentials", credentials)?;
            std::fs::write(&password, "a secret\n")?;
            proxy.plugin_status_that("it to be pulled", is_live).await?;
            assert!(!proxy.log().contains("a secret"));
            Ok(())
        })
        .await?;

    // The same for whoever looks at it first, with docker's file.
    let docker = place.path().join("config.json");
    let robot = json!({ "username": "robot", "password": "a secret" });
    std::fs::write(&docker, json!({ "auths": { registry.host(): robot } }).to_string())?;
    let run = |more: &[&str]| {
        let mut command = Command::new(binary()?);
        Ok::<_, anyhow::Error>(command.args(["inspect", &reference, "--insecure"]).args(more).output()?)
    };
    let output = run(&["--docker-config", &docker.to_string_lossy()])?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("stage     stamp"), "{output:?}");
    let refused = run(&[])?;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    Ok(())
}

#[tokio::test]
#[ignore = "long: cargo xtask test --full"]
async fn a_registry_over_tls_is_asked_where_its_authority_is_trusted() -> Result<()> {
    let Some(registry) = Registry::start().await? else { return Ok(()) };
    let (place, authority) = (tempfile::tempdir()?, Authority::new("the registry's authority")?);
    let door = TlsDoor::before(registry.port(), &authority.issue(&["127.0.0.1"])?).await?;
    let reference = registry.push("stamp", &plugins::stamp(1)?, WASM).await?.replace(&registry.host(), &door.host());
    let ca = place.path().join("ca.pem");
    std::fs::write(&ca, &authority.pem)?;
    let setup = Proxy::setup()?
        .set("plugins.oci.cache.folder", place.path().join("pulled").display().to_string())
        .set("plugins.oci.timeout", "10s")
        .file("20-stamp.oci", reference.as_bytes())?;
    setup
        .run(async |proxy| {
            let why = failed(proxy, "stamp").await?;
            assert!(why.contains("pull") && why.contains(&door.host()), "{why}");
            proxy.configure("plugins.oci.ca_file", json!(ca))?;
            proxy.plugin_status_that("it to be pulled", is_live).await?;
            Ok(())
        })
        .await
}

#[tokio::test]
#[ignore = "long: cargo xtask test --full"]
async fn a_pulled_plugin_is_signed_by_a_file_beside_its_reference() -> Result<()> {
    let Some(registry) = Registry::start().await? else { return Ok(()) };
    let (place, pair) = (tempfile::tempdir()?, minisign::KeyPair::generate_unencrypted_keypair()?);
    let plugin = plugins::stamp(1)?;
    let reference = registry.push("stamp", &plugin, WASM).await?;
    let setup = setup(&registry, &place.path().join("pulled"))?
        .set("plugins.signatures.keys", json!([pair.pk.to_base64()]))
        .file("20-stamp.oci", reference.as_bytes())?;
    setup
        .run(async |proxy| {
            let why = failed(proxy, "stamp").await?;
            assert!(why.contains("signature: it is not signed: there is no 20-stamp.wasm.minisig"), "{why}");
            let signature = minisign::sign(None, &pair.sk, &plugin[..], None, None)?.into_string();
            proxy.install("20-stamp.wasm.minisig", signature.as_bytes())?;
            let status = proxy.plugin_status_that("it to be live", is_live).await?;
            assert!(stage(&status, "stamp").is_some_and(|stage| stage["signature"]["key"].is_string()), "{status:#}");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_registry_that_is_silent_holds_up_no_file_of_the_folder() -> Result<()> {
    // It takes connections, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let host = silent.local_addr()?.to_string();
    let setup = Proxy::setup()?.set("plugins.oci.insecure", json!([host])).set("plugins.oci.timeout", "10m");
    setup
        .run(async |proxy| {
            for number in 1..=4 {
                let reference = format!("oci://{host}/p{number}@sha256:{}", "2".repeat(64));
                proxy.install(&format!("1{number}-p{number}.oci"), reference.as_bytes())?;
            }
            let asked = async || {
                let status = proxy.plugin_status().await.ok()?;
                (1..=4).all(|number| stage(&status, &format!("p{number}")).is_some()).then_some(())
            };
            wait::until("all of them to be asked for", asked).await?;
            proxy.install("20-stamp.wasm", &plugins::stamp(1)?)?;
            proxy.plugin_status_that("the file to be live", is_live).await?;
            Ok(())
        })
        .await
}
