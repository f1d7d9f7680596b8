//! What the queues of a destination are made of: one for the whole of it, or, where it is routed by trace, one for each of its endpoints.
//! Knows who they are and where their queues on disk are, and starts nothing.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use otlp::signal::Signal;

use super::config::{Balance, DestinationConfig, Dns, Endpoint, Endpoints, QueueConfig};
use super::store::Store;

/// The folder in a queue's folder that holds those of the single endpoints.
const FOLDER: &str = "endpoints";

/// Where names lead now: by destination and endpoint, as it is shown.
pub(super) type Found = HashMap<(String, String), Vec<SocketAddr>>;

/// One endpoint of a destination that is routed by trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// What traces are hashed over, and what it is called in metrics and messages: its URL, or that of one address behind its name.
    pub name: String,
    /// That address.
    pub address: Option<SocketAddr>,
}

/// What a queue is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// What waits in it is sent.
    Sends,
    /// What waits in it goes to the destination's other queues: it has no endpoint any more, or none yet.
    Moves,
}

/// What a queue is made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    /// With no other endpoint and signal than its own.
    pub config: DestinationConfig,
    /// Which of several it is.
    pub member: Option<Member>,
    pub role: Role,
}

impl Plan {
    fn of_member(config: &DestinationConfig, endpoint: &Endpoint, member: Member) -> Self {
        let mut endpoints = Endpoints::from(endpoint.clone());
        endpoints.resolve_every = config.endpoints.resolve_every;
        let mode = config.queue.mode.within(FOLDER).within(&folder_name(&member.name));
        let queue = QueueConfig { mode, ..config.queue.clone() };
        Self {
            config: DestinationConfig { endpoints, queue, ..config.clone() },
            member: Some(member),
            role: Role::Sends,
        }
    }
}

/// Whether a destination's traces are shared out among its endpoints.
pub(super) fn takes_apart(config: &DestinationConfig) -> bool {
    config.endpoints.balance == Balance::ByTrace && config.signals.contains(&Signal::Traces)
}

/// A destination without its other signals.
pub(super) fn traces_of(config: &DestinationConfig) -> DestinationConfig {
    DestinationConfig { signals: vec![Signal::Traces], ..config.clone() }
}

/// The queues of a destination of one signal. Where no endpoint is known yet there is one all the same, in which spans wait for them.
pub(super) fn plans(config: &DestinationConfig, found: &Found) -> Vec<Plan> {
    if !takes_apart(config) {
        return vec![Plan { config: config.clone(), member: None, role: Role::Sends }];
    }
    let mut plans: Vec<Plan> = Vec::new();
    for endpoint in config.endpoints.iter() {
        let members = if config.endpoints.dns == Dns::All && endpoint.is_named() {
            let known = found.get(&(config.name.clone(), endpoint.shown()));
            let member = |address: &SocketAddr| Member { name: endpoint.shown_at(*address), address: Some(*address) };
            known.into_iter().flatten().map(member).collect()
        } else {
            vec![Member { name: endpoint.shown(), address: None }]
        };
        for member in members {
            // Two names may lead to one place.
            if plans.iter().all(|known| known.member.as_ref().is_none_or(|known| known.name != member.name)) {
                plans.push(Plan::of_member(config, endpoint, member));
            }
        }
    }
    if plans.is_empty() {
        plans.push(Plan { config: config.clone(), member: None, role: Role::Moves });
    }
    plans
}

/// The queues that an earlier run has left in the destination's folder for endpoints that are none any more, or for the destination as a whole.
pub(super) fn leftovers(config: &DestinationConfig, plans: &[Plan]) -> Vec<Plan> {
    let Some(folder) = config.queue.mode.folder() else { return Vec::new() };
    let mut left = Vec::new();
    if plans.iter().all(|plan| plan.member.is_some()) && Store::has_records(folder) {
        left.push(Plan { config: config.clone(), member: None, role: Role::Moves });
    }
    let entries = std::fs::read_dir(folder.join(FOLDER)).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| Store::has_records(&entry.path())) {
        let Some(name) = entry.file_name().to_str().and_then(name_of_folder) else { continue };
        let member = Member { name, address: None };
        if plans.iter().all(|plan| plan.member.as_ref().is_none_or(|known| known.name != member.name)) {
            left.push(Plan { role: Role::Moves, ..Plan::of_member(config, config.endpoints.first(), member) });
        }
    }
    left
}

/// Lets go of the folder of an endpoint that has gone, if nothing is left in it.
pub(super) fn forget_folder(folder: &Path) {
    if Store::has_records(folder) {
        return;
    }
    // What damaged records are kept in stays, and so does the folder then.
    let _kept = std::fs::remove_file(folder.join("lock")).and_then(|()| std::fs::remove_dir(folder));
}

/// A name as a folder's, from which it can be told again.
fn folder_name(name: &str) -> String {
    let mut folder = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' => folder.push(char::from(byte)),
            _ => write!(folder, "%{byte:02x}").expect("writing to a string does not fail"),
        }
    }
    folder
}

fn name_of_folder(folder: &str) -> Option<String> {
    let mut name = Vec::new();
    let mut pieces = folder.split('%');
    name.extend_from_slice(pieces.next()?.as_bytes());
    for piece in pieces {
        name.push(u8::from_str_radix(piece.get(..2)?, 16).ok()?);
        name.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(name).ok().filter(|name| folder_name(name) == folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(urls: &[&str], dns: Dns) -> DestinationConfig {
        let list = urls.iter().map(|url| Endpoint::grpc(url).unwrap()).collect();
        let mut config = DestinationConfig::new("tail", Endpoints::new(list).unwrap());
        config.endpoints.balance = Balance::ByTrace;
        config.endpoints.dns = dns;
        config
    }

    fn names(plans: &[Plan]) -> Vec<&str> {
        plans.iter().map(|plan| plan.member.as_ref().map_or("", |member| &member.name)).collect()
    }

    #[test]
    fn a_list_has_a_queue_for_each_url_and_a_name_one_for_each_address() {
        let config = routed(&["http://a:4317", "http://b:4317"], Dns::One);
        assert_eq!(names(&plans(&config, &Found::new())), ["http://a:4317", "http://b:4317"]);
        let config = routed(&["https://a:4317", "http://b:4317", "http://10.0.0.9:4317"], Dns::All);
        let found = |urls: &[(&str, &[&str])]| -> Found {
            let addresses = |list: &[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
            urls.iter().map(|(url, list)| (("tail".to_owned(), (*url).to_owned()), addresses(list))).collect()
        };
        let found =
            found(&[("https://a:4317", &["10.0.0.1:4317", "[fd00::1]:4317"]), ("http://b:4317", &["10.0.0.9:4317"])]);
        let plans = plans(&config, &found);
        assert_eq!(names(&plans), ["https://10.0.0.1:4317", "https://[fd00::1]:4317", "http://10.0.0.9:4317"]);
        assert_eq!(plans[0].config.endpoints.first().host(), "a", "a certificate is for the name");
    }

    #[test]
    fn before_any_address_is_known_spans_wait_in_one_queue() {
        let plans = plans(&routed(&["http://a:4317"], Dns::All), &Found::new());
        assert_eq!((plans.len(), plans[0].role, plans[0].member.is_none()), (1, Role::Moves, true));
    }

    #[test]
    fn names_of_folders_can_be_told_again() {
        for name in ["http://10.0.0.1:4317", "https://[fd00::1]:4318/a_b%2f", "ü"] {
            let folder = folder_name(name);
            assert!(!folder.contains('/') && folder.is_ascii(), "{folder}");
            assert_eq!(name_of_folder(&folder).as_deref(), Some(name));
        }
        for other in ["lost+found", "a%", "a%zz", "a%2"] {
            assert_eq!(name_of_folder(other), None, "{other}");
        }
    }
}
