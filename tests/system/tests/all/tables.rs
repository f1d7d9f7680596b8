//! Lookup tables between the binary, its files and `enrich`: countries by address, and tables that cannot be asked.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use harness::sink::Keep;
use harness::spans::Mix;
use harness::stored::Stored;
use harness::{Generator, Profile, Proxy, Sink, fetch};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use serde_json::{Value, json};
use system::{error_of, reached};

const ADDRESSES: [(&str, Option<&str>); 5] = [
    ("192.0.2.77", Some("NN")),
    ("198.51.100.200", None),
    ("2001:db8::5", Some("SS")),
    ("gateway.example", None),
    ("198.51.100.2", Some("SS")),
];

/// Sends a span from each address, and tells in which country each came out.
async fn countries(proxy: &Proxy, sink: &Sink, generator: &mut Generator) -> Result<Vec<Option<String>>> {
    let mut made = generator.request(ADDRESSES.len());
    let spans = made.request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
    for (span, (address, _)) in spans.flat_map(|scope| &mut scope.spans).zip(ADDRESSES) {
        let value = AnyValue { value: Some(any_value::Value::StringValue(address.to_owned())) };
        let attribute = KeyValue { key: "client.address".to_owned(), value: Some(value), ..KeyValue::default() };
        span.attributes.push(attribute);
    }
    let before = sink.spans();
    ensure!(proxy.grpc().send(&made.request).await?.is_whole(), "not taken");
    sink.wait_for_spans(before + ADDRESSES.len() as u64).await?;
    let resources = sink.take_requests().into_iter().flat_map(|request| request.resource_spans).collect();
    let stored = Stored::all(resources);
    let country = |address: &str| {
        let span = stored.iter().find(|span| span.attribute("client.address") == Some(address));
        span.and_then(|span| span.attribute("country")).map(str::to_owned)
    };
    Ok(ADDRESSES.iter().map(|(address, _)| country(address)).collect())
}

fn places() -> PathBuf {
    backends::root().join("host/control/tests/tables/places.mmdb")
}

#[tokio::test]
async fn countries_are_found_by_address_and_a_table_that_cannot_be_asked_costs_no_span() -> Result<()> {
    let sink = Sink::keeping(Keep::Requests).await?;
    let setup = Proxy::setup()?;
    let file = setup.folder().join("countries.mmdb");
    fs::copy(places(), &file)?;
    let enrich = |table: &str, granted: &str| {
        let lookup = json!({ "table": table, "key": "client.address", "set": { "country": "country.iso_code" } });
        json!({ "settings": { "lookups": [lookup] }, "grants": { "tables": [granted] } })
    };
    let setup = setup
        .set("tables.countries.file", file.to_string_lossy())
        .set("tables.none.file", "none.csv")
        .export_grpc("sink", &sink)
        .plugin("10-enrich", "enrich")?
        .sidecar("10-enrich", &enrich("countries", "countries"))?;
    setup
        .run(async |proxy| {
            let mut generator = Generator::new(Profile::Small, 151).mix(Mix::PLAIN);
            let expected: Vec<Option<String>> =
                ADDRESSES.iter().map(|(_, country)| country.map(str::to_owned)).collect();
            assert_eq!(countries(proxy, &sink, &mut generator).await?, expected);
            let labels = [("plugin", "enrich"), ("table", "countries")];
            reached(proxy, "tracemill_table_asked_keys_total", &labels, 5.0).await?;
            reached(proxy, "tracemill_table_found_keys_total", &labels, 3.0).await?;

            // A database that is cut is no database; what was read before is still asked.
            fs::write(&file, &fs::read(places())?[..700])?;
            reached(proxy, "tracemill_table_failed_loads_total", &[("table", "countries")], 1.0).await?;
            assert_eq!(countries(proxy, &sink, &mut generator).await?, expected);
            let status = fetch::json(&proxy.admin("/status")).await?;
            let [broken, missing] = [&status["tables"][0], &status["tables"][1]];
            assert!(broken["ready"] == true && broken["error"].is_string(), "{broken}");
            assert!(missing["ready"] == false && missing["error"].is_string(), "{missing}");

            // What is not granted is said before a span is shown, and the last good version stays.
            let before = proxy.generation().await?;
            proxy.install("10-enrich.yaml", enrich("countries", "none").to_string().as_bytes())?;
            let refused = |status: &Value| {
                error_of(status, "enrich").is_some_and(|error| error.contains("does not give it: table countries"))
            };
            proxy.plugin_status_that("the refusal", refused).await?;
            assert_eq!(countries(proxy, &sink, &mut generator).await?, expected);

            proxy.install("10-enrich.yaml", enrich("none", "none").to_string().as_bytes())?;
            proxy.generation_after(before).await?;
            for _ in 0..2 {
                assert_eq!(countries(proxy, &sink, &mut generator).await?, [const { None }; ADDRESSES.len()]);
            }
            let failed = [("plugin", "enrich"), ("name", "failed_lookups")];
            reached(proxy, "tracemill_plugin_custom_total", &failed, 2.0).await?;
            let log = proxy.log();
            let said = "nothing is looked up: the lookup table `none` could not be read";
            assert!(log.contains(said), "{log}");
            Ok(())
        })
        .await
}
