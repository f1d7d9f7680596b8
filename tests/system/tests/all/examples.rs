//! What stands in examples/ runs as it stands there.

use anyhow::{Context as _, Result, ensure};
use harness::proxy::{Setup, binary};
use harness::sink::Keep;
use harness::spans::Mix;
use harness::stored::Stored;
use harness::{BackEnd as _, Generator, Jaeger, Profile, Proxy, Sink, Tempo, plugins};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder(name: &str) -> PathBuf {
    backends::root().join("examples").join(name)
}

/// The sidecars that an example brings; its plugins are put beside them as its README says.
fn sidecars(mut setup: Setup, folder: &Path) -> Result<Setup> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let name = path.file_name().context("a file has a name")?.to_string_lossy().into_owned();
            setup = setup.file(&name, &fs::read(&path)?)?;
        }
    }
    Ok(setup)
}

/// The example's own text, on free ports of loopback.
fn on_free_ports(mut text: String) -> Result<String> {
    for listen in ["0.0.0.0:4317", "0.0.0.0:4318", "127.0.0.1:9464"] {
        ensure!(text.matches(listen).count() == 1, "{listen} is not listened on in {text}");
        text = text.replace(listen, "127.0.0.1:0");
    }
    Ok(text)
}

#[test]
fn the_configuration_to_jaeger_and_tempo_is_valid_as_it_is() -> Result<()> {
    let file = folder("jaeger-tempo").join("tracemill.yaml");
    let output = Command::new(binary()?).arg("check").arg("--config").arg(file).output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn the_example_to_jaeger_and_tempo_delivers_to_both() -> Result<()> {
    let (Some(jaeger), Some(tempo)) = (Jaeger::start().await?, Tempo::start().await?) else { return Ok(()) };
    let folder = folder("jaeger-tempo");
    let setup = Proxy::setup()?
        .text(on_free_ports(fs::read_to_string(folder.join("tracemill.yaml"))?)?)
        .env("JAEGER", &jaeger.grpc_url())
        .env("TEMPO", &tempo.http_url())
        .plugin("10-drop-health", "drop-health")?
        .plugin("20-scrub-pii", "scrub-pii")?
        .plugin("30-enrich", "enrich")?;
    sidecars(setup, &folder.join("plugins"))?
        .run(async |proxy| {
            let mix = Mix { health: 0.0, personal: 1.0, ..Mix::PLAIN };
            let made = Generator::new(Profile::Medium, 141).mix(mix).traces_of(100).request(60);
            ensure!(proxy.grpc().send(&made.request).await?.is_whole(), "not taken");
            let trace = Stored::all(made.request.resource_spans)[0].trace();
            for found in [jaeger.trace_of(&trace, 60).await?, tempo.trace_of(&trace, 60).await?] {
                assert_eq!(found.len(), 60);
                for stored in found {
                    assert_eq!(stored.attribute("cloud.region"), Some("eu-north-1"), "{}", stored.text);
                    assert!(!stored.text.contains("mail.example"), "{}", stored.text);
                }
            }
            Ok(())
        })
        .await
}

#[tokio::test]
async fn the_example_plugin_marks_slow_spans() -> Result<()> {
    let sink = Sink::keeping(Keep::Requests).await?;
    let example = folder("mark-slow").join("mark-slow.yaml");
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .file("40-mark-slow.wasm", &fs::read(plugins::example("mark-slow")?)?)?
        .file("40-mark-slow.yaml", &fs::read(example)?)?;
    setup
        .run(async |proxy| {
            let mut generator = Generator::new(Profile::Small, 142).mix(Mix::PLAIN);
            for _ in 0..20 {
                ensure!(proxy.grpc().send(&generator.request(50).request).await?.is_whole(), "not taken");
            }
            sink.wait_for_spans(1_000).await?;
            let mut marked = 0;
            for resource in sink.take_requests().into_iter().flat_map(|request| request.resource_spans) {
                for stored in Stored::all(vec![resource]) {
                    let checkout = stored.resource_attribute("service.name") == Some("checkout");
                    let limit = if checkout { 200_000_000 } else { 150_000_000 };
                    let slow = stored.span.end_time_unix_nano - stored.span.start_time_unix_nano > limit;
                    let is_marked = stored.span.attributes.iter().any(|attribute| attribute.key == "slow");
                    assert_eq!(is_marked, slow, "{}", stored.text);
                    marked += usize::from(is_marked);
                }
            }
            assert!((100..900).contains(&marked), "{marked} of 1,000 spans are marked");
            Ok(())
        })
        .await
}
