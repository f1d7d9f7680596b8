//! Files that come, change, break and go, and what plugins would find meanwhile.

use std::fs;

use otlp::path::Layout;
use otlp::value::Value;
use prometheus_client::registry::Registry;
use proptest::prelude::*;
use wasm::tables::{Entry, Table as _};

use super::keyed::{Builder, Cell};
use super::*;
use crate::config;
use crate::wait::until;

/// A folder with tables in it, followed.
struct Ground {
    folder: tempfile::TempDir,
    published: wasm::tables::Tables,
    registry: Registry,
    tables: Tables,
}

impl Ground {
    fn start(config: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let (published, mut registry) = (wasm::tables::Tables::default(), Registry::default());
        let metrics = Metrics::register(&mut registry);
        let tables = Tables::start(settings(folder.path(), config), published.clone(), metrics).unwrap();
        Self { folder, published, registry, tables }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// What a plugin finds in the field `team`.
    fn team(&self, table: &str, key: &str) -> String {
        match self.published.current().get(table) {
            None => "no table".to_owned(),
            Some(Entry::Broken(why)) => why.to_string(),
            Some(Entry::Ready(table)) => {
                let rows = table.find(&mut std::iter::once(key.as_bytes()));
                let value = rows.values("team", Layout::Text).and_then(|mut values| values.next()).flatten();
                match value {
                    Some(Value::Text(text)) => String::from_utf8_lossy(text).into_owned(),
                    other => format!("{other:?}"),
                }
            }
        }
    }

    fn until_team(&self, table: &str, key: &str, team: &str) {
        until(|| {
            let now = self.team(table, key);
            if now == team { Ok(()) } else { Err(format!("{now}, {:?}", self.tables.status().load())) }
        });
    }

    fn until_error(&self, part: &str) -> status::Status {
        until(|| {
            let all = self.tables.status().load_full();
            let found = all.iter().find(|table| table.error.as_ref().is_some_and(|error| error.contains(part)));
            found.cloned().ok_or_else(|| format!("{all:?}"))
        })
    }

    fn metric(&self, line: &str) -> Option<u64> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
    }
}

/// The tables of a configuration, with their files in this folder.
fn settings(folder: &Path, config: &str) -> Vec<TableConfig> {
    let mut settings = config::read("", config, &|_| None).unwrap_or_else(|report| panic!("{report}")).tables;
    for table in &mut settings {
        table.file = folder.join(&table.file);
    }
    settings
}

/// As a careful operator does.
fn replace(path: &Path, content: &str) {
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, content).unwrap();
    fs::rename(unfinished, path).unwrap();
}

const TEAMS: &str = "tables: { teams: { file: teams.csv } }\n";

fn with_shop(folder: &Path) {
    fs::write(folder.join("teams.csv"), "service,team\ncart,shop\n").unwrap();
}

#[test]
fn a_table_is_there_from_the_start_and_a_changed_file_takes_its_place() {
    let ground = Ground::start(TEAMS, with_shop);
    assert_eq!(ground.team("teams", "cart"), "shop");
    assert_eq!(ground.metric("tracemill_table_entries{table=\"teams\"}"), Some(1));
    assert_eq!(ground.metric("tracemill_table_failed_loads_total{table=\"teams\"}"), Some(0));
    assert!(ground.metric("tracemill_table_bytes{table=\"teams\"}").is_some_and(|bytes| bytes > 0));
    replace(&ground.path("teams.csv"), "service,team\ncart,money\ncheckout,money\n");
    ground.until_team("teams", "cart", "money");
    assert_eq!(ground.metric("tracemill_table_entries{table=\"teams\"}"), Some(2));
    // In place, as an editor may.
    fs::write(ground.path("teams.csv"), "service,team\ncart,garden\n").unwrap();
    ground.until_team("teams", "cart", "garden");
    let loaded = ground.metric("tracemill_table_loaded_timestamp_seconds{table=\"teams\"}");
    assert!(loaded.is_some_and(|at| at > 1_700_000_000), "{loaded:?}");
}

#[test]
fn a_file_that_breaks_keeps_the_last_good_table_and_says_why() {
    let ground = Ground::start(TEAMS, with_shop);
    replace(&ground.path("teams.csv"), "service,team\ncart,shop,more\n");
    let status = ground.until_error("line 2: it has 3 values");
    assert!(status.ready && status.entries == 1);
    assert_eq!(ground.team("teams", "cart"), "shop");
    assert_eq!(ground.metric("tracemill_table_failed_loads_total{table=\"teams\"}"), Some(1));
    fs::remove_file(ground.path("teams.csv")).unwrap();
    ground.until_error("cannot be read: No such file");
    assert_eq!(ground.team("teams", "cart"), "shop");
    replace(&ground.path("teams.csv"), "service,team\ncart,garden\n");
    ground.until_team("teams", "cart", "garden");
    until(|| match &ground.tables.status().load()[0].error {
        None => Ok(()),
        Some(error) => Err(error.clone()),
    });
    assert_eq!(ground.metric("tracemill_table_failed_loads_total{table=\"teams\"}"), Some(2), "each once");
}

#[test]
fn a_file_that_is_not_there_at_the_start_may_come() {
    let ground = Ground::start(TEAMS, |_| {});
    assert!(ground.team("teams", "cart").starts_with("it cannot be read: No such file"));
    assert!(!ground.until_error("cannot be read").ready);
    with_shop(ground.folder.path());
    ground.until_team("teams", "cart", "shop");
}

#[test]
fn a_file_behind_the_links_of_a_kubernetes_volume_is_followed() {
    use std::os::unix::fs::symlink;
    let write = |folder: &Path, version: &str, team: &str| {
        fs::create_dir(folder.join(version)).unwrap();
        fs::write(folder.join(version).join("teams.csv"), format!("service,team\ncart,{team}\n")).unwrap();
    };
    let ground = Ground::start(TEAMS, |folder| {
        write(folder, "..1", "shop");
        symlink("..1", folder.join("..data")).unwrap();
        symlink("..data/teams.csv", folder.join("teams.csv")).unwrap();
    });
    assert_eq!(ground.team("teams", "cart"), "shop");
    write(ground.folder.path(), "..2", "money");
    symlink("..2", ground.path("..data_tmp")).unwrap();
    fs::rename(ground.path("..data_tmp"), ground.path("..data")).unwrap();
    ground.until_team("teams", "cart", "money");
}

#[test]
fn tables_come_change_and_go_with_the_configuration() {
    let ground = Ground::start(TEAMS, |folder| {
        with_shop(folder);
        fs::write(folder.join("teams.json"), r#"[{"s": "cart", "team": "money"}]"#).unwrap();
    });
    let configure = |config: &str| ground.tables.reconfigure(settings(ground.folder.path(), config));
    configure("tables: { teams: { file: teams.json, key: s }, owners: { file: teams.csv, key: team } }\n");
    ground.until_team("teams", "cart", "money");
    ground.until_team("owners", "shop", "shop");
    let status = ground.tables.status().load_full();
    let names: Vec<&str> = status.iter().map(|status| status.table.as_str()).collect();
    assert_eq!(names, ["teams", "owners"]);
    configure("tables: { owners: { file: teams.csv, key: wrong } }\n");
    ground.until_team("teams", "cart", "no table");
    ground.until_error("no column `wrong`");
    assert_eq!(ground.team("owners", "shop"), "shop", "the last good one stays");
    assert_eq!(ground.metric("tracemill_table_entries{table=\"teams\"}"), None);
}

#[test]
fn what_is_larger_than_allowed_or_no_file_is_refused_and_check_says_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("large.csv"), format!("a,b\n{}", "1,2\n".repeat(1000))).unwrap();
    fs::create_dir(folder.path().join("folder.csv")).unwrap();
    fs::write(folder.path().join("good.csv"), "a,b\n1,2\n").unwrap();
    let text = "tables:\n  large: { file: large.csv, size: 2KiB }\n  folder: { file: folder.csv }\n  good: { file: good.csv }\n  none: { file: none.mmdb }\n";
    let wrong = check(&settings(folder.path(), text));
    let expected = [
        ("large", "it is larger than 2KiB; set the table's `size`"),
        ("folder", "it is no regular file"),
        ("none", "it cannot be read: No such file"),
    ];
    assert_eq!(wrong.len(), expected.len(), "{wrong:?}");
    for ((table, why), (name, part)) in wrong.iter().zip(expected) {
        assert!(table == name && why.contains(part), "{table}: {why}");
    }
}

proptest! {
    #[test]
    fn a_table_has_what_a_map_has(
        rows in proptest::collection::btree_map("[a-d]{1,3}", proptest::collection::vec((0_usize..4, "[a-c]{0,2}"), 0..6), 0..20),
        asked in proptest::collection::vec("[a-e]{0,3}", 0..40),
    ) {
        const FIELDS: [&str; 4] = ["w", "x", "y", "z"];
        let mut builder = Builder::new(false);
        let numbers = FIELDS.map(|field| builder.field(field));
        let mut oracle = std::collections::HashMap::new();
        for (key, cells) in &rows {
            builder.row(key).unwrap();
            for (field, text) in cells {
                builder.cell(numbers[*field], Cell::Text(text)).unwrap();
                oracle.entry((key.as_str(), *field)).or_insert(text.as_str());
            }
            builder.end_row().unwrap();
        }
        let table = builder.finish();
        let found = table.find(&mut asked.iter().map(String::as_bytes));
        prop_assert_eq!(found.found() as usize, asked.iter().filter(|key| rows.contains_key(*key)).count());
        for (field, name) in FIELDS.iter().enumerate() {
            let values: Vec<_> = found.values(name, Layout::Words).unwrap().collect();
            let expected: Vec<_> = asked
                .iter()
                .map(|key| oracle.get(&(key.as_str(), field)).map(|text| Value::Text(text.as_bytes())))
                .collect();
            prop_assert_eq!(values, expected);
        }
    }
}
