//! Samplers as they are seen from outside: which of the spans that are sent in arrive, and with what trace state. Here is what
//! the items about them have in common.

use crate::Subject;
use crate::own::{Chain, Mode, Own, Shape, service};
use crate::raw::grpc::{Call, Connection};
use crate::trace::{self, Ids};
use anyhow::{Result, ensure};
use harness::wait;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::time::Duration;

pub const WHY: &str = "it takes a sampler in the server, and a sink behind it";
/// The largest randomness: such a trace passes every threshold.
pub const ALL: u64 = (1 << 56) - 1;
/// How long spans may take that are to arrive.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long nothing more must come.
const SILENCE: Duration = Duration::from_millis(300);

/// A server that samples with these probabilities.
pub async fn start(subject: &Subject, mode: Mode, rates: &[f64]) -> Result<Option<Own>> {
    subject.another(Shape { chain: Chain::Sample(mode, rates.to_vec()), ..Shape::default() }).await
}

/// A span to be sampled.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The number of the probability.
    pub rate: usize,
    /// The 56 bits of its trace id.
    pub randomness: u64,
    /// Its trace state.
    pub state: String,
    /// Whether it is to arrive.
    pub kept: bool,
}

/// A span that is to arrive.
pub fn kept(rate: usize, randomness: u64, state: &str) -> Probe {
    Probe { rate, randomness, state: state.to_owned(), kept: true }
}

/// A span that is to be sampled away.
pub fn gone(rate: usize, randomness: u64, state: &str) -> Probe {
    Probe { kept: false, ..kept(rate, randomness, state) }
}

impl Probe {
    fn ids(&self) -> Ids {
        let mut ids = Ids::fresh();
        // The byte before the 56 bits says the contrary of what they do: whoever reads 64 bits decides otherwise.
        let contrary = if self.randomness >> 55 == 0 { u64::MAX << 56 } else { 0 };
        ids.trace[8..].copy_from_slice(&(self.randomness | contrary).to_be_bytes());
        ids
    }
}

/// Sends spans in and answers the trace states of those that are to arrive, in their order; an error if others do, or not all.
pub async fn sampled(own: &Own, probes: &[Probe]) -> Result<Vec<String>> {
    let sent = send(own, probes).await?;
    let mut states = Vec::new();
    for (probe, ids) in probes.iter().zip(&sent) {
        let state = state_of(own, ids);
        ensure!(state.is_some() || !probe.kept, "{probe:?} did not arrive");
        ensure!(state.is_none() || probe.kept, "{probe:?} arrived with {state:?}");
        states.extend(state);
    }
    Ok(states)
}

/// The same of one span that may arrive or not, as the server likes.
pub async fn left_to_it(own: &Own, probe: &Probe) -> Result<Option<String>> {
    let sent = send(own, &[Probe { kept: false, ..probe.clone() }, kept(0, ALL, "")]).await?;
    Ok(state_of(own, &sent[0]))
}

/// Sends spans in, and waits for those that are to arrive, and for a while after them.
async fn send(own: &Own, probes: &[Probe]) -> Result<Vec<Ids>> {
    let sent: Vec<Ids> = probes.iter().map(Probe::ids).collect();
    let resources = probes.iter().zip(&sent).map(|(probe, ids)| {
        let span = trace::span_with(ids, "probe", &trace::bytes(3, &probe.state));
        trace::resource_spans(&service(probe.rate), &[trace::scope_spans("probes", &[span])])
    });
    let message = trace::request_of(&resources.collect::<Vec<_>>());
    Connection::open(&own.grpc).await?.call(Call::export(&message)?).await?.expect_full("spans to be sampled")?;
    let mut wanted = probes.iter().zip(&sent).filter(|(probe, _)| probe.kept).map(|(_, ids)| ids);
    let arrived = async || wanted.clone().all(|ids| state_of(own, ids).is_some()).then_some(());
    if wait::until_within(PATIENCE, "the spans that are to be kept", arrived).await.is_ok() {
        tokio::time::sleep(SILENCE).await;
    } else {
        ensure!(wanted.any(|ids| state_of(own, ids).is_some()), "no span arrived");
    }
    Ok(sent)
}

fn state_of(own: &Own, ids: &Ids) -> Option<String> {
    let of = |span: &Span| span.trace_state.clone();
    own.sink.arrivals(|all| all.all_spans().find(|span| span.span_id == ids.span).map(of))
}

/// The sub-keys of the `ot` entry.
pub fn sub_keys(state: &str) -> Vec<&str> {
    let ours = state.split(',').find_map(|entry| entry.trim().strip_prefix("ot="));
    ours.map(|value| value.split(';').filter(|part| !part.is_empty()).collect()).unwrap_or_default()
}

/// The digits of `th`, which must stand there once at most.
pub fn th(state: &str) -> Result<Option<&str>> {
    let all: Vec<_> = sub_keys(state).into_iter().filter_map(|part| part.strip_prefix("th:")).collect();
    ensure!(all.len() <= 1, "th is there {} times: {state}", all.len());
    Ok(all.first().copied())
}

/// Fails unless these are the digits.
pub fn expect_th(what: &str, state: &str, wanted: &str) -> Result<()> {
    let found = th(state)?;
    ensure!(found == Some(wanted), "{what}: th:{wanted} is wanted, the trace state is {state:?}");
    Ok(())
}

/// The threshold that digits stand for: zeros are left out on the right.
pub fn threshold(digits: &str) -> Result<u64> {
    let is_hex = |each: char| each.is_ascii_digit() || ('a'..='f').contains(&each);
    ensure!((1..=14).contains(&digits.len()) && digits.chars().all(is_hex), "th:{digits} is not 1 to 14 hex digits");
    Ok(u64::from_str_radix(&format!("{digits:0<14}"), 16)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_filled_up_on_the_right() {
        assert_eq!(threshold("8").unwrap(), 1 << 55);
        assert_eq!(threshold("08").unwrap(), 0x08 << 48);
        assert_eq!(threshold("0").unwrap(), 0);
        assert!(["", "G", "F", "123456789012345"].into_iter().all(|digits| threshold(digits).is_err()));
    }

    #[test]
    fn the_byte_before_the_randomness_contradicts_it() {
        for (randomness, before) in [(ALL, 0), (0, 0xff), (1 << 55, 0), ((1 << 55) - 1, 0xff)] {
            let ids = kept(0, randomness, "").ids();
            assert_eq!(ids.trace[8], before);
            assert_eq!(u64::from_be_bytes(ids.trace[8..].try_into().unwrap()) & ALL, randomness);
        }
    }

    #[test]
    fn th_is_found_among_other_sub_keys() {
        assert_eq!(th("a=1, ot=rv:00;th:8;x:y").unwrap(), Some("8"));
        assert_eq!(th("a=th:8").unwrap(), None);
        th("ot=th:8;th:c").unwrap_err();
    }
}
