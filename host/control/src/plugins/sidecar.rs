//! The sidecar of a plugin: its settings, and how the host treats it.

use std::time::Duration;

use otlp::condition::Condition;
use pipeline::chain::plan::Failure;
use pipeline::chain::stage::BreakerPolicy;
use wasm::Role;

use super::grants::{self, Grants};
use super::trying::{self, Trying};
use crate::config::limits::{self, Limits};
use crate::config::plugins::Defaults;
use crate::config::report::{Problems, Report};
use crate::config::table::Table;
use crate::config::yaml::{self, Value};
use crate::config::{self, conditions};

/// A checked sidecar.
#[derive(Debug, Clone, PartialEq)]
pub struct Sidecar {
    /// The plugin's own settings, as JSON.
    pub settings: String,
    /// What becomes of spans on which it fails; the plan's word where there is none.
    pub on_error: Option<Failure>,
    /// How many bytes of memory an instance may have.
    pub memory: u64,
    /// How long a call may take.
    pub deadline: Duration,
    /// Narrows the plan's `when`: any of these lists, all of its conditions.
    pub when: Vec<Vec<Condition>>,
    /// When repeated faults take it out for a while.
    pub breaker: BreakerPolicy,
    /// What its file, its calls and its instances may be.
    pub limits: Limits,
    /// What it may do at most.
    pub grants: Grants,
    /// How it is tried before it counts.
    pub trying: Trying,
}

impl Sidecar {
    /// Whether it says the same, but for how a version is tried.
    #[must_use]
    pub fn is_same_otherwise(&self, other: &Self) -> bool {
        Self { trying: Trying::default(), ..self.clone() } == Self { trying: Trying::default(), ..other.clone() }
    }
}

/// Reads a sidecar; none is an empty one. What it may not say of a sampler is found by [`suits`].
pub fn read(file: &str, text: &str, defaults: &Defaults, lookup: config::env::Lookup<'_>) -> Result<Sidecar, Report> {
    let problems = Problems::default();
    let sidecar = check(text, defaults, lookup, &problems, Role::Processor);
    problems.into_report(file).or(sidecar)
}

/// Whether a sidecar that was read says what can be said of a plugin of this role, which is known only once its file was looked at.
pub fn suits(
    role: Role,
    file: &str,
    text: &str,
    defaults: &Defaults,
    lookup: config::env::Lookup<'_>,
) -> Result<(), Report> {
    let problems = Problems::default();
    check(text, defaults, lookup, &problems, role);
    problems.into_report(file).or(())
}

fn check(text: &str, defaults: &Defaults, lookup: config::env::Lookup<'_>, problems: &Problems, role: Role) -> Sidecar {
    let root = yaml::parse(text, lookup, problems);
    Table::read("", &root, problems, |table| {
        let sidecar = keys_of(table, defaults, problems);
        if role == Role::Sampler {
            of_sampler(table, &sidecar);
        }
        sidecar
    })
}

/// A sampler is asked about whole traces, whose spans were taken long ago.
fn of_sampler(table: &Table<'_>, sidecar: &Sidecar) {
    let abstains = "a sampler that fails abstains: the next one decides, or `tail.default`";
    match sidecar.on_error {
        None | Some(Failure::Pass) => {}
        Some(Failure::Drop) => table.refuse("on_error", format!("a sampler may not say drop; {abstains}")),
        Some(Failure::Reject) => {
            let why = "a sampler may not say reject: who sent the spans has been answered already";
            table.refuse("on_error", format!("{why}; {abstains}"));
        }
    }
    if !sidecar.when.is_empty() {
        let why =
            "is for processors: a sampler is asked about whole traces, and abstains from those that it is not about";
        table.refuse("when", format!("{why}; its `settings` say which traces those are"));
    }
}

fn keys_of(table: &mut Table<'_>, defaults: &Defaults, problems: &Problems) -> Sidecar {
    Sidecar {
        settings: settings(table),
        on_error: table.choice("on_error", &Failure::ALL.map(|failure| (failure.name(), failure))),
        memory: table.size("memory", config::plugins::MEMORY).unwrap_or(defaults.memory),
        deadline: table.duration("deadline", config::plugins::DEADLINE).unwrap_or(defaults.deadline),
        when: conditions::read("when", table.items("when"), problems),
        breaker: table.section("breaker", |table| config::plugins::breaker(table, defaults.breaker)),
        limits: table.section("limits", |table| limits::read(table, defaults.limits)),
        grants: table.section("grants", grants::read),
        trying: trying::read(table),
    }
}

fn settings(table: &mut Table<'_>) -> String {
    let Some(node) = table.node("settings") else { return "{}".to_owned() };
    if !matches!(node.value, Value::Map(_)) {
        table.refuse("settings", format!("must be a mapping of the plugin's own keys, not {}", node.kind()));
    }
    let json = node.to_json();
    if json.is_none() {
        table.refuse("settings", "holds a number that JSON does not have (not a number, or infinite)");
    }
    json.map_or_else(|| "{}".to_owned(), |json| json.to_string())
}

/// Every key of a sidecar, for the reference.
#[must_use]
pub fn keys() -> Vec<String> {
    let problems = Problems::default();
    check("", &Defaults::default(), &|_| None, &problems, Role::Processor);
    problems.keys().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use otlp::condition::Operator;
    use otlp::edit::Constant;
    use otlp::path::Path;
    use pipeline::chain::trial::Mode;

    use super::*;
    use crate::plugins::trying::Rule;

    fn sidecar(text: &str) -> Result<Sidecar, Vec<String>> {
        read("10-a.yaml", text, &Defaults::default(), &|_| None).map_err(|report| report.lines())
    }

    #[test]
    fn an_empty_sidecar_is_all_defaults() {
        let read = sidecar("").unwrap();
        assert_eq!((read.settings.as_str(), read.on_error, read.when.len()), ("{}", None, 0));
        assert_eq!((read.memory, read.deadline), (64 << 20, Duration::from_millis(50)));
        assert_eq!(read.limits, Limits::default());
    }

    #[test]
    fn each_limit_is_the_sidecars_or_else_that_of_all_plugins() {
        let limits = Limits { edits: 100, output: 1 << 20, calls: 7, ..Limits::default() };
        let defaults = Defaults { limits, ..Defaults::default() };
        let text = "limits: { file: 1MiB, edits: 50, log_lines: 3, log_bytes: 1KiB, table_elements: 9, instances: 5, configure: 3s }";
        let read = read("10-a.yaml", text, &defaults, &|_| None).unwrap().limits;
        let expected = Limits {
            file: 1 << 20,
            edits: 50,
            output: 1 << 20,
            log_lines: 3,
            log_bytes: 1 << 10,
            table_elements: 9,
            instances: 5,
            configure: Duration::from_secs(3),
            calls: 7,
        };
        assert_eq!(read, expected);
        let errors = sidecar("limits: { edits: 70000, output: 1KiB, calls: 0, lines: 1 }").unwrap_err();
        assert_eq!(errors.len(), 4, "{errors:#?}");
        assert!(errors[0].contains("from 1 to 65536") && errors[1].contains("from 64KiB to 256MiB"), "{errors:#?}");
    }

    #[test]
    fn everything_can_be_set() {
        let text = "settings:\n  routes: [/health, 7, 2.5, true]\non_error: reject\nmemory: 128MiB\ndeadline: 1s\nbreaker: { faults: 2 }\n\
                    when:\n  - { path: kind, equals: 2 }\n  - - { path: 'attributes[\"http.route\"]', prefix: [/a, /b], not: true }\n    - { path: name, exists: true }\n";
        let read = sidecar(text).unwrap();
        assert_eq!(read.settings, r#"{"routes":["/health",7,2.5,true]}"#);
        assert_eq!(
            (read.on_error, read.memory, read.deadline),
            (Some(Failure::Reject), 128 << 20, Duration::from_secs(1))
        );
        assert_eq!(read.breaker.faults, 2);
        assert_eq!(read.when.len(), 2);
        assert_eq!(read.when[0][0].path, Path::Kind);
        assert_eq!(read.when[0][0].values, [Constant::Integer(2)]);
        assert_eq!(read.when[1].len(), 2);
        assert_eq!((read.when[1][0].operator, read.when[1][0].negated), (Operator::Prefix, true));
        assert_eq!(read.when[1][1].operator, Operator::Exists);
    }

    #[test]
    fn grants_name_paths_of_the_contract() {
        let read =
            sidecar("grants:\n  read: [name, 'attributes[\"a\"]']\n  write: []\n  drop: false\n  state: 64KiB\n  tables: [teams]\n")
                .unwrap();
        assert_eq!(read.grants.read, Some(vec![Path::Name, "attributes[\"a\"]".parse().unwrap()]));
        assert_eq!(
            (read.grants.write, read.grants.drop, read.grants.state),
            (Some(Vec::new()), Some(false), Some(64 << 10))
        );
        assert_eq!(read.grants.tables, Some(vec!["teams".to_owned()]));
        assert_eq!(sidecar("grants: { tables: [] }").unwrap().grants.tables, Some(Vec::new()), "none is not all");
        assert_eq!(sidecar("grants: { drop: true }").unwrap().grants.tables, None);
        let errors = sidecar("grants:\n  read: [nmae]\n").unwrap_err();
        assert!(errors.len() == 1 && errors[0].starts_with("10-a.yaml:2:"), "{errors:#?}");
    }

    #[test]
    fn a_version_can_be_tried_before_it_counts() {
        assert_eq!(sidecar("").unwrap().trying, Trying::default());
        assert_eq!(sidecar("mode: live").unwrap().trying, Trying::default());
        let shadow = sidecar("mode: shadow\npromote: { batches: 50, cost: 1.5us, differences: 0.1% }").unwrap().trying;
        assert_eq!(shadow.mode, Some(Mode::Shadow));
        assert_eq!(shadow.rule, Some(Rule { batches: 50, cost_ns: Some(1500), differences: Some(0.001) }));
        let canary = sidecar("mode: canary\nshare: 5%\npromote: {}").unwrap().trying;
        assert_eq!(canary.mode, Some(Mode::Canary(0.05)));
        assert_eq!(canary.rule, Some(Rule { batches: 1000, cost_ns: None, differences: None }));
        for (text, said) in [
            ("mode: canary", "needs a `share`"),
            ("mode: shadow\nshare: 5%", "is for `mode: canary` alone"),
            ("promote: {}", "is for `mode: shadow` and `mode: canary`"),
            ("mode: canary\nshare: 5%\npromote: { differences: 1% }", "is for `mode: shadow`"),
            ("mode: shadwo", "mode"),
            ("mode: canary\nshare: 5", "write it like 5%"),
            ("mode: canary\nshare: 101%", "from 0% to 100%"),
        ] {
            let errors = sidecar(text).unwrap_err();
            assert!(errors.len() == 1 && errors[0].contains(said), "{text}: {errors:#?}");
        }
    }

    #[test]
    fn a_sampler_neither_rejects_nor_sees_some_spans_only() {
        let suits = |role, text| {
            let known = read("10-a.yaml", text, &Defaults::default(), &|_| None).map(drop);
            known
                .and_then(|()| suits(role, "10-a.yaml", text, &Defaults::default(), &|_| None))
                .map_err(|report| report.lines())
        };
        let text = "on_error: reject\nwhen: [{ path: kind, equals: 2 }]\n";
        assert_eq!(suits(Role::Processor, text), Ok(()));
        let errors = suits(Role::Sampler, text).unwrap_err();
        let starts = [
            "10-a.yaml:1:11: on_error: a sampler may not say reject: ",
            "10-a.yaml:2:7: when: is for processors: a sampler is asked about whole traces",
        ];
        assert_eq!(errors.len(), starts.len(), "{errors:#?}");
        for (error, start) in errors.iter().zip(starts) {
            assert!(error.starts_with(start), "{error}\n{start}");
        }
        let dropping = suits(Role::Sampler, "on_error: drop").unwrap_err();
        assert!(dropping[0].contains("a sampler that fails abstains"), "{dropping:#?}");
        for fine in ["", "on_error: pass\nwhen: []", "mode: shadow\nmemory: 128MiB\ngrants: { read: [name] }"] {
            assert_eq!(suits(Role::Sampler, fine), Ok(()), "{fine}");
        }
    }

    #[test]
    fn every_error_is_said_with_its_line() {
        let text = "setings: {}\nmemory: 64\non_error: rejct\nwhen:\n  - { path: attributes.x, equals: 1 }\n  - { path: name }\ndeadline: 0s\n";
        let errors = sidecar(text).unwrap_err();
        let starts = [
            "10-a.yaml:1:1: setings: unknown key, did you mean settings?",
            "10-a.yaml:2:9: memory: \"64\" has no unit",
            "10-a.yaml:3:11: on_error: ",
            "10-a.yaml:5:13: when[0].path: ",
            "10-a.yaml:6:5: when[1]: needs",
            "10-a.yaml:7:11: deadline: ",
        ];
        assert_eq!(errors.len(), starts.len(), "{errors:#?}");
        for (error, start) in errors.iter().zip(starts) {
            assert!(error.starts_with(start), "{error}\n{start}");
        }
    }
}
