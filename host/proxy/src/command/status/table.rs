//! A status for people: what runs, where it goes, and what has failed.

mod history;
mod trials;

use std::fmt::Write as _;

use control::admin::view::{Address, Destination, Endpoint, Kafka, Status, TraceBuffer};
use control::config::units::show_size;
use control::plugins::status::{Stage, State};
use control::tables::status::Status as Table;

/// Whether anything has failed.
pub fn failed(status: &Status) -> bool {
    let stage =
        |stage: &Stage| stage.error.is_some() || stage.state == State::Gone || stage.breaker.as_deref() == Some("open");
    !status.ready
        || status.config.error.is_some()
        || status.plugins.stages.iter().any(stage)
        || status.tables.iter().any(|table| table.error.is_some())
        || status.kafka.as_ref().is_some_and(|kafka| kafka.last_error.is_some())
        || status.destinations.iter().any(|destination| {
            destination.last_error.is_some() || destination.endpoints.iter().any(|one| one.last_error.is_some())
        })
}

/// The table.
pub fn show(status: &Status) -> String {
    let mut out = String::new();
    let ready = status.not_ready.as_ref().map_or_else(|| "ready".to_owned(), |reason| format!("NOT READY: {reason}"));
    let Status { version, uptime_seconds, generation, listeners, spans, .. } = status;
    line(&mut out, &format!("tracemill {version}, up {uptime_seconds} s, generation {generation}, {ready}"));
    line(
        &mut out,
        &format!("listens on {} (gRPC), {} (HTTP), {} (admin)", listeners.grpc, listeners.http, listeners.admin),
    );
    if let Some(kafka) = &status.kafka {
        line(&mut out, &consumer(kafka));
        if let Some(error) = &kafka.last_error {
            line(&mut out, &format!("  Kafka: {error}"));
        }
    }
    line(&mut out, &format!("received {} spans, admitted {}", spans.received, spans.admitted));
    if let Some(buffer) = &status.trace_buffer {
        line(&mut out, &waiting(buffer));
    }
    line(&mut out, "");

    if status.plugins.stages.is_empty() {
        line(&mut out, &format!("no plugins in {}: spans pass untouched", status.plugins.folder));
    } else {
        let head = ["STAGE", "ROLE", "STATE", "VERSION", "SINCE", "SWAP TOOK", "ON ERROR", "FAULTS", "FILE"]
            .map(str::to_owned);
        rows(&mut out, std::iter::once(head).chain(status.plugins.stages.iter().map(stage)));
        for stage in &status.plugins.stages {
            if let Some(signature) = &stage.signature {
                let comment = &signature.trusted_comment;
                line(&mut out, &format!("  {} is signed by key {} ({comment})", stage.stage, signature.key));
            }
        }
        for stage in &status.plugins.stages {
            if let Some(sampler) = &stage.sampler {
                let (sees, at_once) = (sampler.sees(), sampler.at_once());
                line(&mut out, &format!("  {} decides traces: it sees {sees}; asked at once: {at_once}", stage.stage));
            }
        }
        for error in status.plugins.stages.iter().filter_map(|stage| stage.error.as_ref()) {
            let again = if error.passing { " (it is tried again)" } else { "" };
            line(&mut out, &format!("  {} failed at step {}: {}{again}", error.file, error.step, error.why));
        }
    }
    for stage in &status.plugins.stages {
        trials::show(&mut out, stage);
    }
    for note in &status.plugins.notes {
        line(&mut out, &format!("  {note}"));
    }
    history::show(&mut out, &status.plugins.versions);
    line(&mut out, "");

    if !status.tables.is_empty() {
        let head = ["TABLE", "STATE", "ENTRIES", "MEMORY", "FILE"].map(str::to_owned);
        rows(&mut out, std::iter::once(head).chain(status.tables.iter().map(table)));
        for table in &status.tables {
            if let Some(error) = &table.error {
                line(&mut out, &format!("  {}: {error}", table.file));
            }
        }
        line(&mut out, "");
    }

    if status.destinations.is_empty() {
        line(&mut out, "no destinations: spans end here");
    } else {
        let head = ["DESTINATION", "SIGNAL", "PROTOCOL", "SENT", "HELD", "DROPPED", "REJECTED", "QUEUE", "ENDPOINT"];
        let head = head.map(str::to_owned);
        rows(&mut out, std::iter::once(head).chain(status.destinations.iter().map(destination)));
        for destination in &status.destinations {
            if let Some(error) = &destination.last_error {
                line(&mut out, &format!("  {} ({}): {error}", destination.name, destination.signal));
            }
            for endpoint in &destination.endpoints {
                line(&mut out, &format!("  {} {}", destination.name, self::endpoint(endpoint)));
            }
        }
    }
    if let Some(error) = &status.config.error {
        line(&mut out, &format!("\nthe configuration was not reloaded:\n{error}"));
    }
    if !status.config.needs_restart.is_empty() {
        line(&mut out, &format!("\nneeds a restart to take effect: {}", status.config.needs_restart.join(", ")));
    }
    out
}

fn consumer(kafka: &Kafka) -> String {
    let Kafka { group, uncommitted, partitions, .. } = kafka;
    let lag: i64 = partitions.iter().filter_map(|partition| partition.lag).sum();
    let paused = if kafka.paused { ", PAUSED: what was taken is refused" } else { "" };
    format!(
        "takes {} partitions of Kafka in group {group}: {uncommitted} messages on their way, {lag} behind{paused}",
        partitions.len()
    )
}

fn waiting(buffer: &TraceBuffer) -> String {
    let TraceBuffer { traces, spans, memory_bytes, memory_limit_bytes, mode, disk_bytes } = buffer;
    let percent = (memory_bytes * 100).checked_div(*memory_limit_bytes).unwrap_or(0);
    let disk = disk_bytes.map(|bytes| format!(", {mode}, {} MiB on disk", bytes.div_ceil(1 << 20))).unwrap_or_default();
    format!(
        "{spans} of them in {traces} traces wait in the trace buffer: {percent}% of {}{disk}",
        show_size(*memory_limit_bytes)
    )
}

fn stage(stage: &Stage) -> [String; 9] {
    let state = match stage.state {
        State::Live if stage.breaker.as_deref() == Some("open") => "BREAKER OPEN",
        State::Live if stage.error.is_some() => "live (last good)",
        State::Live => "live",
        State::Tried => "tried",
        State::Loading => "loading",
        State::Failed => "FAILED",
        State::Gone => "GONE",
    };
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        stage.stage.clone(),
        or_dash(stage.role.clone()),
        state.to_owned(),
        or_dash(stage.version.clone()),
        or_dash(stage.generation.map(|generation| generation.to_string())),
        or_dash(stage.took.map(|took| format!("{} ms", took.total_ms))),
        or_dash(stage.on_error.clone()),
        stage.faults.to_string(),
        stage.file.clone(),
    ]
}

fn table(table: &Table) -> [String; 5] {
    let state = match (table.ready, &table.error) {
        (true, None) => "live",
        (true, Some(_)) => "live (last good)",
        (false, Some(_)) => "FAILED",
        (false, None) => "loading",
    };
    let memory = format!("{} KiB", table.bytes.div_ceil(1 << 10));
    [table.table.clone(), state.to_owned(), table.entries.to_string(), memory, table.file.clone()]
}

fn destination(destination: &Destination) -> [String; 9] {
    let Destination { queue_bytes, queue_limit_bytes, .. } = *destination;
    let percent = (queue_bytes * 100).checked_div(queue_limit_bytes).unwrap_or(0);
    [
        destination.name.clone(),
        destination.signal.clone(),
        destination.protocol.clone(),
        destination.sent.to_string(),
        destination.held.to_string(),
        destination.dropped.to_string(),
        destination.rejected.to_string(),
        queue(destination, percent),
        match destination.endpoints.len() {
            0 | 1 => destination.endpoint.clone(),
            all => format!("{} and {} more", destination.endpoint, all - 1),
        },
    ]
}

fn queue(destination: &Destination, percent: u64) -> String {
    let full = format!("{percent}% of {}", show_size(destination.queue_limit_bytes));
    match destination.queue_disk_bytes {
        None => full,
        Some(bytes) => format!("{full}, {}, {} MiB on disk", destination.queue_mode, bytes.div_ceil(1 << 20)),
    }
}

fn endpoint(endpoint: &Endpoint) -> String {
    let Endpoint { url, resting, addresses, queue_bytes, leaving, last_error } = endpoint;
    let state = match (leaving, resting, queue_bytes) {
        (true, ..) => "IS GONE: what waits for it goes to the others",
        // Nobody takes its place, so that it is tried again and again.
        (_, true, Some(_)) => "FAILS: what is for it waits",
        (_, true, None) => "LEFT ALONE",
        (_, false, _) => "takes spans",
    };
    let queue = queue_bytes.map(|bytes| format!(", queue {}", show_size(bytes))).unwrap_or_default();
    let address = |known: &Address| format!("{}{}", known.address, if known.resting { " (left alone)" } else { "" });
    let behind: Vec<String> = addresses.iter().map(address).collect();
    let behind = if behind.is_empty() { String::new() } else { format!(", at {}", behind.join(", ")) };
    let error = last_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
    format!("{url} {state}{behind}{queue}{error}")
}

fn rows<const N: usize>(out: &mut String, rows: impl Iterator<Item = [String; N]>) {
    let rows: Vec<[String; N]> = rows.collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        line(out, cells.join("  ").trim_end());
    }
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        serde_json::from_str(include_str!("example.json")).unwrap()
    }

    #[test]
    fn the_table_shows_the_chain_its_errors_and_the_destinations() {
        let shown = show(&status());
        assert_eq!(shown, include_str!("example.txt"), "{shown}");
    }

    #[test]
    fn a_failed_stage_or_table_is_a_failure_and_so_is_one_endpoint_of_several() {
        let mut status = status();
        assert!(failed(&status));
        status.plugins.stages.retain(|stage| stage.error.is_none());
        assert!(failed(&status));
        status.tables.retain(|table| table.error.is_none());
        assert!(failed(&status));
        status.destinations.iter_mut().flat_map(|d| &mut d.endpoints).for_each(|endpoint| endpoint.last_error = None);
        assert!(!failed(&status));
        status.ready = false;
        assert!(failed(&status));
    }
}
