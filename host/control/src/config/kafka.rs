//! What stands under `kafka`: in `receive`, a consumer group that takes messages; in a destination, a topic that they are written to.

use std::path::PathBuf;
use std::time::Duration;

use otlp::signal::Signal;
use pipeline::export::config::{DestinationConfig, Endpoint, KafkaConfig, Partitioner};
use pipeline::kafka::{self, ConnectConfig, Mechanism, Password, SaslConfig, TOPICS, TlsConfig};
use pipeline::receive::kafka::{Config as ReceiveConfig, InitialOffset};

use super::table::Table;

/// How long brokers may wait for a sign of life: what they allow unless told otherwise.
const SESSION: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(30);
const COMMITS: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_mins(5);

/// The one encoding there is.
#[derive(Clone)]
struct OtlpProto;

/// `receive.kafka`; `None` where it is not there, or cannot be used (the problem is noted).
pub(super) fn receive(table: &mut Table<'_>) -> Option<ReceiveConfig> {
    let is_there = table.has("kafka");
    note_missing(table, is_there);
    table.section("kafka", |table| {
        let connect = connect(table, is_there);
        let mut config = ReceiveConfig::new(connect.clone().unwrap_or_else(|| ConnectConfig::new(Vec::new())));
        config.topics = received_topics(table).unwrap_or(config.topics);
        encoding(table);
        config.group = name(table, "group").unwrap_or(config.group);
        config.group_instance_id = name(table, "group_instance_id");
        config.initial_offset = table
            .choice("initial_offset", &[("earliest", InitialOffset::Earliest), ("latest", InitialOffset::Latest)])
            .unwrap_or(config.initial_offset);
        config.session_timeout = table.duration("session_timeout", SESSION).unwrap_or(config.session_timeout);
        config.commit_interval = table.duration("commit_interval", COMMITS).unwrap_or(config.commit_interval);
        config.max_uncommitted =
            table.count("max_uncommitted", 1..=10_000_000).map_or(config.max_uncommitted, |count| count as usize);
        config.fetch_bytes =
            table.size("fetch_buffer", (64 << 10)..=(1 << 30)).map_or(config.fetch_bytes, |bytes| bytes as usize);
        connect.map(|_| config)
    })
}

/// Topics of a signal that no destination takes: all of their messages would be refused, for ever.
pub(super) fn check_destinations(table: &mut Table<'_>, receive: &ReceiveConfig, destinations: &[DestinationConfig]) {
    let at = table.node("receive").map_or(table.at(), |node| node.at);
    for signal in [Signal::Metrics, Signal::Logs] {
        let is_read = receive.topics.iter().any(|(_, of)| *of == signal);
        if is_read && !destinations.iter().any(|destination| destination.signals.contains(&signal)) {
            let path = format!("{}.kafka.topics.{signal}", table.path_of("receive"));
            let message =
                format!("no destination takes {signal}: put `{signal}` among the `signals` of one under `export`");
            table.problems().note(at, &path, message);
        }
    }
}

/// `export.NAME.kafka`, likewise.
pub(super) fn export(table: &mut Table<'_>) -> Option<KafkaConfig> {
    let is_there = table.has("kafka");
    note_missing(table, is_there);
    table.section("kafka", |table| {
        let connect = connect(table, is_there);
        let topics = table.section("topics", |table| {
            Signal::ALL.map(|signal| name(table, signal.name()).unwrap_or_else(|| TOPICS[signal as usize].to_owned()))
        });
        encoding(table);
        let words = [("fnv1a", Partitioner::Fnv1a), ("murmur2", Partitioner::Murmur2), ("crc32", Partitioner::Crc32)];
        let partitioner = table.choice("partitioner", &words).unwrap_or_default();
        connect.map(|connect| KafkaConfig { connect, topics, partitioner })
    })
}

fn note_missing(table: &Table<'_>, is_there: bool) {
    if is_there && !kafka::IS_BUILT {
        table.refuse("kafka", kafka::missing("Kafka", "kafka"));
    }
}

fn connect(table: &mut Table<'_>, is_there: bool) -> Option<ConnectConfig> {
    let brokers = table.texts("brokers");
    let wrong = brokers.iter().filter_map(|broker| Endpoint::kafka(broker).err()).collect::<Vec<_>>();
    for error in &wrong {
        table.refuse("brokers", error.to_string());
    }
    if is_there && brokers.is_empty() && !table.has("brokers") {
        table.refuse("brokers", "must name at least one broker, like [\"kafka:9092\"]");
    }
    let client_id = name(table, "client_id");
    let has_tls = table.has("tls");
    let tls = Some(table.section("tls", tls)).filter(|_| has_tls);
    let has_sasl = table.has("sasl");
    let sasl = table.section("sasl", |table| sasl(table, has_sasl));
    let needs_tls_build = has_tls || sasl.as_ref().is_some_and(|sasl| sasl.mechanism.needs_tls_build());
    if needs_tls_build && kafka::IS_BUILT && !kafka::HAS_TLS {
        let key = if has_tls { "tls" } else { "sasl" };
        table.refuse(key, kafka::missing("Kafka over TLS, or with SCRAM,", "kafka-tls"));
    }
    let usual = ConnectConfig::new(brokers);
    let is_usable = !usual.brokers.is_empty() && wrong.is_empty();
    is_usable.then(|| ConnectConfig { client_id: client_id.unwrap_or(usual.client_id.clone()), tls, sasl, ..usual })
}

fn tls(table: &mut Table<'_>) -> TlsConfig {
    let file = |text: String| PathBuf::from(text);
    let ca_file = table.text("ca_file").map(file);
    let (cert, key) = (table.text("cert_file").map(file), table.text("key_file").map(file));
    if cert.is_some() != key.is_some() {
        let (there, missing) = if cert.is_some() { ("cert_file", "key_file") } else { ("key_file", "cert_file") };
        table.refuse(there, format!("needs `{missing}` beside it"));
    }
    TlsConfig { ca_file, identity: cert.zip(key) }
}

fn sasl(table: &mut Table<'_>, is_there: bool) -> Option<SaslConfig> {
    let mechanisms = [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512]
        .map(|mechanism| (mechanism.name(), mechanism));
    let mechanism = table.choice("mechanism", &mechanisms);
    let username = table.text("username");
    let text = table.text("password").map(Password::Text);
    let file = table.text("password_file").map(|file| Password::File(file.into()));
    if !is_there {
        return None;
    }
    for (key, is_given) in [("mechanism", mechanism.is_some()), ("username", username.is_some())] {
        if !is_given && !table.has(key) {
            table.refuse(key, "is needed: say how a user is shown to be who they say, and who that is");
        }
    }
    match (&text, &file) {
        (None, None) if !table.has("password") && !table.has("password_file") => {
            table.refuse_whole("needs `password` or `password_file`");
        }
        (Some(_), Some(_)) => table.refuse("password", "is there twice: leave out this or `password_file`"),
        _ => {}
    }
    Some(SaslConfig { mechanism: mechanism?, username: username?, password: text.or(file)? })
}

fn encoding(table: &mut Table<'_>) {
    let _only: Option<OtlpProto> = table.choice("encoding", &[("otlp_proto", OtlpProto)]);
}

fn received_topics(table: &mut Table<'_>) -> Option<Vec<(String, Signal)>> {
    let is_there = table.has("topics");
    let topics = table.section("topics", |table| {
        let mut all: Vec<(String, Signal)> = Vec::new();
        for signal in Signal::ALL {
            for topic in table.texts(signal.name()) {
                check_topic(table, signal.name(), &topic);
                if all.iter().any(|(known, _)| *known == topic) {
                    table.refuse(signal.name(), format!("`{topic}` is there twice: a topic holds one signal"));
                }
                all.push((topic, signal));
            }
        }
        if is_there && all.is_empty() {
            table.refuse_whole("must name at least one topic");
        }
        all
    });
    is_there.then_some(topics)
}

/// A topic, a group or a client.
fn name(table: &mut Table<'_>, key: &'static str) -> Option<String> {
    let name = table.text(key)?;
    check_topic(table, key, &name);
    Some(name)
}

/// Kafka's rule for topics; for other names it does no harm.
fn check_topic(table: &Table<'_>, key: &str, name: &str) {
    let is_legal = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | '-');
    if name.is_empty() || name.len() > 249 || !name.chars().all(is_legal) || matches!(name, "." | "..") {
        table.refuse(key, "must be a name of letters, digits, `.`, `_` and `-`, of at most 249");
    }
}

#[cfg(test)]
mod tests {
    //! What can be said of the keys in every build. That a build has none of it is seen in `tests/config`.

    use super::*;
    use crate::config::report::Problems;
    use crate::config::yaml;

    /// What is read, and every problem but that the build lacks something.
    fn read<T>(text: &str, read: impl FnOnce(&mut Table<'_>) -> T) -> (T, Vec<String>) {
        let problems = Problems::default();
        let node = yaml::parse(text, &|_| None, &problems);
        let value = Table::read("here", &node, &problems, read);
        let mut lines = problems.into_report("f").lines();
        lines.retain(|line| !line.contains("is not in this build"));
        (value, lines)
    }

    #[test]
    fn without_it_there_is_none() {
        assert_eq!(read("{}", receive), (None, vec![]));
        assert_eq!(read("{}", export), (None, vec![]));
    }

    #[test]
    fn a_broker_is_enough() {
        let (config, problems) = read("kafka: { brokers: [\"kafka:9092\"] }", receive);
        let config = config.unwrap();
        assert_eq!(problems, [""; 0]);
        assert_eq!(config.topics, [("otlp_spans".to_owned(), Signal::Traces)]);
        assert_eq!(config, ReceiveConfig::new(ConnectConfig::new(vec!["kafka:9092".to_owned()])));
        let (config, problems) = read("kafka: { brokers: \"kafka:9092\" }", export);
        assert_eq!(config, Some(KafkaConfig::new(ConnectConfig::new(vec!["kafka:9092".to_owned()]))));
        assert_eq!(problems, [""; 0]);
    }

    #[test]
    fn all_of_it_is_read() {
        let text = "kafka:
  brokers: [\"a:9092\", \"b:9092\"]
  client_id: tail-1
  topics: { traces: [spans, more], logs: logs }
  encoding: otlp_proto
  group: tail
  group_instance_id: tail-1
  initial_offset: latest
  session_timeout: 10s
  commit_interval: 100ms
  max_uncommitted: 500
  fetch_buffer: 1MiB
  tls: { ca_file: ca.pem, cert_file: me.pem, key_file: me.key }
  sasl: { mechanism: SCRAM-SHA-512, username: me, password_file: p }
";
        let (config, problems) = read(text, receive);
        assert_eq!(problems, [""; 0]);
        let config = config.unwrap();
        let topics = [("spans", Signal::Traces), ("more", Signal::Traces), ("logs", Signal::Logs)];
        assert_eq!(config.topics, topics.map(|(name, signal)| (name.to_owned(), signal)));
        assert_eq!((config.group.as_str(), config.initial_offset), ("tail", InitialOffset::Latest));
        assert_eq!(config.group_instance_id.as_deref(), Some("tail-1"));
        assert_eq!((config.max_uncommitted, config.fetch_bytes), (500, 1 << 20));
        let tls = config.connect.tls.unwrap();
        assert_eq!(tls.identity, Some(("me.pem".into(), "me.key".into())));
        assert_eq!(config.connect.sasl.unwrap().password, Password::File("p".into()));
    }

    #[test]
    fn topics_of_which_nobody_takes_the_signal_are_refused() {
        let text = "receive: { kafka: { brokers: \"a:1\", topics: { metrics: m, logs: l } } }";
        let receive = read("kafka: { brokers: \"a:1\", topics: { metrics: m, logs: l } }", receive).0.unwrap();
        let mut kept = DestinationConfig::new("out", Endpoint::grpc("http://tempo:4317").unwrap());
        kept.signals = vec![Signal::Traces, Signal::Metrics];
        let ((), problems) = read(text, |table| check_destinations(table, &receive, &[kept]));
        let said = "here.receive.kafka.topics.logs: no destination takes logs: put `logs` among the `signals`";
        let said = problems.iter().filter(|line| line.contains("no destination")).all(|line| line.contains(said));
        assert!(said && problems.iter().any(|line| line.contains("takes logs")), "{problems:?}");
    }

    #[test]
    fn everything_that_is_wrong_is_said() {
        let (_, problems) = read(
            "kafka: { brokers: [kafka], topics: { traces: [a, a], logs: \"x y\" }, group: \"\", encoding: jaeger, topic: x, \
             tls: { key_file: k }, sasl: { mechanism: GSSAPI, password: a, password_file: b } }",
            receive,
        );
        for said in [
            "here.kafka.brokers: `kafka` is not a broker: write HOST:PORT",
            "here.kafka.topics.traces: `a` is there twice",
            "here.kafka.topics.logs: must be a name",
            "here.kafka.group: must be a name",
            "here.kafka.encoding: jaeger is not valid here: must be one of otlp_proto",
            "here.kafka.topic: unknown key, did you mean topics?",
            "here.kafka.tls.key_file: needs `cert_file`",
            "here.kafka.sasl.mechanism: GSSAPI is not valid here",
            "here.kafka.sasl.username: is needed",
            "here.kafka.sasl.password: is there twice",
        ] {
            assert!(problems.iter().any(|line| line.contains(said)), "{said}: {problems:#?}");
        }
        let (_, problems) = read("kafka: { group: x }", receive);
        assert!(problems[0].contains("here.kafka.brokers: must name at least one broker"), "{problems:?}");
        let (_, problems) =
            read("kafka: { brokers: \"a:1\", topics: {}, sasl: { mechanism: PLAIN, username: x } }", receive);
        assert_eq!(problems.len(), 2, "{problems:?}");
    }
}
