//! What stands in examples/ runs as it stands there.

use anyhow::{Context as _, Result, ensure};
use harness::proxy::{Setup, binary};
use harness::sink::Keep;
use harness::spans::Mix;
use harness::stored::Stored;
use harness::{BackEnd as _, Generator, Jaeger, Profile, Proxy, Sink, Tempo, fetch, plugins, wait};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use serde_json::Value;
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

/// The example of lookup tables with its files in the proxy's own folder, which it is started in.
fn lookup_tables(sink: &Sink) -> Result<Setup> {
    let folder = folder("lookup-tables");
    let mut setup = Proxy::setup()?
        .text(on_free_ports(fs::read_to_string(folder.join("tracemill.yaml"))?)?)
        .env("JAEGER", &sink.url())
        .plugin("10-enrich", "enrich")?;
    setup = sidecars(setup, &folder.join("plugins"))?;
    for file in ["teams.csv", "networks.json"] {
        fs::copy(folder.join(file), setup.folder().join(file))?;
    }
    Ok(setup)
}

#[test]
fn the_configuration_with_lookup_tables_is_valid_as_it_is_and_check_reads_the_tables() -> Result<()> {
    let check = |folder: &Path| {
        let mut command = Command::new(binary()?);
        command.args(["check", "--config", "tracemill.yaml"]).current_dir(folder);
        let output = command.output()?;
        Ok::<_, anyhow::Error>((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
    };
    let example = folder("lookup-tables");
    assert_eq!(check(&example)?, (Some(0), String::new()));
    let place = tempfile::tempdir()?;
    fs::copy(example.join("tracemill.yaml"), place.path().join("tracemill.yaml"))?;
    fs::write(place.path().join("networks.json"), "[]")?;
    let (code, said) = check(place.path())?;
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("tables.teams: ./teams.csv: it cannot be read"), "{said}");
    assert!(said.contains("tables.networks: ./networks.json: it is an array") && said.contains("2 errors"), "{said}");
    Ok(())
}

#[tokio::test]
async fn the_example_of_lookup_tables_sets_what_the_files_say_and_follows_them() -> Result<()> {
    let sink = Sink::keeping(Keep::Requests).await?;
    lookup_tables(&sink)?
        .run(async |proxy| {
            let mut generator = Generator::new(Profile::Small, 143).mix(Mix::PLAIN);
            for stored in through(proxy, &sink, &mut generator, "checkout").await? {
                assert_eq!(stored.resource_attribute("team"), Some("payments"), "{}", stored.text);
                assert_eq!(stored.resource_attribute("on_call"), Some("+1-555-0101"), "{}", stored.text);
                assert_eq!(stored.attribute("client.site"), Some("warehouse"), "{}", stored.text);
                assert!(stored.text.contains("\"client.trusted\"") && stored.text.contains("BoolValue(true)"));
                assert!(stored.text.contains("\"client.floor\"") && stored.text.contains("IntValue(2)"));
            }
            let unknown = through(proxy, &sink, &mut generator, "of-nobody").await?;
            assert!(unknown.iter().all(|stored| stored.resource_attribute("team").is_none()), "{unknown:?}");

            let file = proxy.config_file().with_file_name("teams.csv");
            let before = fs::read_to_string(&file)?;
            fs::write(&file, before.replace("checkout,payments", "checkout"))?;
            let error = "line 3: it has 2 values, the header row names 3 columns";
            tables_that(proxy, |tables| tables[0]["error"] == error).await?;
            assert_eq!(
                through(proxy, &sink, &mut generator, "checkout").await?[0].resource_attribute("team"),
                Some("payments"),
                "the last good one"
            );
            fs::write(&file, before.replace("checkout,payments", "checkout,treasury"))?;
            tables_that(proxy, |tables| tables[0].get("error").is_none()).await?;
            assert_eq!(
                through(proxy, &sink, &mut generator, "checkout").await?[0].resource_attribute("team"),
                Some("treasury")
            );
            Ok(())
        })
        .await
}

/// Two spans of a service, from a client that the tables know, as they come out.
async fn through(proxy: &Proxy, sink: &Sink, generator: &mut Generator, service: &str) -> Result<Vec<Stored>> {
    let mut made = generator.request(2);
    for resource in &mut made.request.resource_spans {
        let attributes = &mut resource.resource.get_or_insert_default().attributes;
        attributes.retain(|attribute| attribute.key != "service.name");
        attributes.push(text("service.name", service));
        let spans = resource.scope_spans.iter_mut().flat_map(|scope| &mut scope.spans);
        spans.for_each(|span| span.attributes.push(text("client.address", "10.0.0.2")));
    }
    let before = sink.spans();
    ensure!(proxy.grpc().send(&made.request).await?.is_whole(), "not taken");
    sink.wait_for_spans(before + 2).await?;
    Ok(Stored::all(sink.take_requests().into_iter().flat_map(|request| request.resource_spans).collect()))
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = any_value::Value::StringValue(value.to_owned());
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// Waits until `/tables` shows it.
async fn tables_that(proxy: &Proxy, wanted: impl Fn(&Value) -> bool) -> Result<()> {
    let shown = async || {
        let tables = fetch::json(&proxy.admin("/tables")).await.ok()?;
        wanted(&tables).then_some(())
    };
    wait::until("/tables to show it", shown).await
}
