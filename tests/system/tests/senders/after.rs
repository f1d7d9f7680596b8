//! What must hold when a sender has ended.

use anyhow::{Result, ensure};
use harness::sender::Report;
use harness::{BackEnd as _, Jaeger, Proxy};
use std::collections::{HashMap, HashSet};

/// What the senders are told that they are.
pub const SERVICE: &str = "orders";

/// All that the proxy holds is delivered and accounted for, and it ends in good order.
pub async fn settled(proxy: &mut Proxy) -> Result<()> {
    proxy.settled().await?;
    let status = proxy.stop().await?;
    ensure!(status.success(), "the proxy ended with {status}:\n{}", proxy.log());
    Ok(())
}

/// Whether Jaeger has every span that was accepted; tells how many of them it has more than once.
pub async fn all_there(report: &Report, jaeger: &Jaeger) -> Result<usize> {
    let traces: HashSet<&str> = report.accepted.iter().map(|id| &*id.trace).collect();
    let mut times: HashMap<(String, String), usize> = HashMap::new();
    for trace in traces {
        for stored in jaeger.trace(trace).await? {
            ensure!(stored.resource_attribute("service.name") == Some(SERVICE), "of another service: {}", stored.text);
            *times.entry((stored.trace(), stored.id())).or_default() += 1;
        }
    }
    let times_of = |trace: &String, span: &String| times.get(&(trace.clone(), span.clone())).copied().unwrap_or(0);
    let times: Vec<_> = report.accepted.iter().map(|id| times_of(&id.trace, &id.span)).collect();
    let missing = times.iter().filter(|times| **times == 0).count();
    ensure!(missing == 0, "{missing} of {} accepted spans are not in Jaeger", times.len());
    Ok(times.iter().filter(|times| **times > 1).count())
}
