//! The binary as a user runs it: start, ready, one request each way in, out at a back end, a wrong configuration, a reload, the end.
#![expect(clippy::unwrap_used, reason = "these are tests, helpers included")]

mod support;

use std::net::{TcpListener, TcpStream};

use support::{LISTEN, Proxy, SOON, SPAN, back_end, ended, get, post_span, tracemill};

/// Where nobody listens.
const NOBODY: &str = "127.0.0.1:1";

#[test]
fn a_span_comes_in_and_goes_out_byte_for_byte_and_the_end_is_clean() {
    let (address, received) = back_end();
    let proxy =
        Proxy::start(&format!("{LISTEN}export: {{ sink: {{ http: 'http://{address}', compression: none }} }}\n"));
    let answer = post_span(proxy.port("http"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(received.recv_timeout(SOON).unwrap(), SPAN);
    let metrics = get(proxy.port("admin"), "/metrics");
    assert!(metrics.contains("tracemill_receive_spans_total 1"), "{metrics}");
    assert!(metrics.contains("application/openmetrics-text"), "{metrics}");
    assert!(get(proxy.port("admin"), "/").contains("<title>tracemill</title>"));
    assert_eq!(proxy.stop(), Some(0));
}

#[test]
fn what_cannot_be_delivered_in_time_shows_in_the_exit_code() {
    let proxy = Proxy::start(&format!(
        "{LISTEN}export: {{ sink: {{ http: 'http://{NOBODY}' }} }}\nshutdown: {{ timeout: 500ms }}\n"
    ));
    assert!(post_span(proxy.port("http")).starts_with("HTTP/1.1 200"));
    assert_eq!(proxy.stop(), Some(2));
}

#[test]
fn a_changed_configuration_takes_effect_and_a_wrong_one_shows_in_the_status() {
    let (address, received) = back_end();
    let mut proxy = Proxy::start(LISTEN);
    let file = proxy.folder.path().join("tracemill.yaml");
    std::fs::write(&file, format!("{LISTEN}export: {{ sink: {{ http: 'http://{address}', compression: none }} }}\n"))
        .unwrap();
    let admin = proxy.port("admin");
    proxy.until("the destination", || get(admin, "/status").contains("\"name\":\"sink\"").then_some(()));
    assert!(post_span(proxy.port("http")).starts_with("HTTP/1.1 200"));
    assert_eq!(received.recv_timeout(SOON).unwrap(), SPAN);
    std::fs::write(&file, "exprot: {}\n").unwrap();
    proxy.until("the error", || get(admin, "/status").contains("did you mean export?").then_some(()));
    assert_eq!(proxy.status()["destinations"][0]["name"], "sink");
    let shown = tracemill(proxy.folder.path(), &["status", "--admin", &admin.to_string()]).output().unwrap();
    let (code, text) = ended(&shown);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("was not reloaded") && text.contains("sink"), "{text}");
    assert_eq!(proxy.stop(), Some(0));
}

#[test]
fn log_lines_are_json_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("tracemill.yaml"),
        format!("{LISTEN}log: {{ format: json }}\nplugins: {{ folder: gone }}\n"),
    )
    .unwrap();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut command = tracemill(folder.path(), &["run", "--config", "tracemill.yaml"]);
    let mut proxy = Proxy { child: command.stderr(log).spawn().unwrap(), folder, ports: serde_json::Value::Null };
    let log = proxy.folder.path().join("log");
    // Its ports are known before it receives: a signal then may come before the line that is looked for.
    proxy.until("the line", || std::fs::read_to_string(&log).unwrap().contains("receiving").then_some(()));
    assert_eq!(proxy.stop_and_keep(), Some(0));
    let text = std::fs::read_to_string(log).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["level"] == "INFO" && line["message"] == "receiving"), "{text}");
}

#[test]
fn a_broken_plugin_is_said_and_holds_nothing_up() {
    let mut proxy = Proxy::start(LISTEN);
    std::fs::write(proxy.folder.path().join("plugins/10-x.wasm"), "not wasm").unwrap();
    let admin = proxy.port("admin");
    proxy.until("the error", || get(admin, "/plugins").contains("it is not WebAssembly").then_some(()));
    assert!(post_span(proxy.port("http")).starts_with("HTTP/1.1 200"));
    assert_eq!(proxy.stop(), Some(0));
}

#[test]
fn a_wrong_configuration_or_command_line_exits_64() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.yaml"), "recieve: {}\nadmin: { listen: 1 }\n").unwrap();
    for command in [
        &["check", "--config", "bad.yaml"][..],
        &["run", "--config", "bad.yaml"],
        &["run", "--config", "none.yaml"],
        &["rum"],
    ] {
        let (code, text) = ended(&tracemill(folder.path(), command).output().unwrap());
        assert_eq!(code, Some(64), "{command:?}: {text}");
    }
    let (_, text) = ended(&tracemill(folder.path(), &["check", "--config", "bad.yaml"]).output().unwrap());
    assert!(text.contains("bad.yaml:1:1: recieve: unknown key, did you mean receive?"), "{text}");
    assert!(text.contains("bad.yaml:2:18: admin.listen") && text.contains("2 errors"), "{text}");
}

#[test]
fn a_port_that_is_taken_is_a_failed_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = format!("receive: {{ grpc: {{ listen: '{}' }} }}\n", taken.local_addr().unwrap());
    std::fs::write(folder.path().join("taken.yaml"), config).unwrap();
    let (code, text) = ended(&tracemill(folder.path(), &["run", "--config", "taken.yaml"]).output().unwrap());
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("another process"), "{text}");
}

#[test]
fn nobody_there_is_a_failed_status() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = ended(&tracemill(folder.path(), &["status", "--admin", NOBODY]).output().unwrap());
    assert_eq!(code, Some(1), "{text}");
}

#[test]
fn receivers_stay_closed_while_a_required_plugin_is_missing() {
    let config = format!("{LISTEN}plugins: {{ required: [scrub-pii] }}\n");
    let (mut proxy, admin) = Proxy::launch(&config);
    let reason = proxy.until("a reason", || {
        let answer = get(admin, "/readyz");
        answer.contains("scrub-pii is required").then_some(answer)
    });
    assert!(reason.starts_with("HTTP/1.1 503"), "{reason}");
    assert!(TcpStream::connect(proxy.port("http")).is_err(), "nobody may connect");
    assert_eq!(proxy.stop(), Some(0));
}
