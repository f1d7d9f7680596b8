//! The roles turned: what the server does as the client of the next one. Spans that are sent in make it send; the sink behind it
//! sees what comes, how often and when. Here is what those items have in common.

use crate::Subject;
use crate::own::{Over, Own, Shape};
use crate::raw::grpc::{Call, Connection};
use crate::trace::{self, Ids};
use anyhow::{Context as _, Result, ensure};
use harness::sink::Attempt;
use harness::{Behaviour, Sink, wait};
use std::time::{Duration, Instant};

pub const WHY: &str = "the suite has to be its back end, and configures only servers of its own";
/// When what failed is sent again for the first time.
pub const INITIAL: Duration = Duration::from_millis(100);
/// How long nothing must come for what is not to be sent again: some times what sending again would take.
pub const SILENCE: Duration = Duration::from_secs(1);

/// A server that sends what comes at once, one by one.
pub async fn start(subject: &Subject, over: Over) -> Result<Option<Own>> {
    subject.another(Shape { over, retry: Some(INITIAL), ..Shape::default() }).await
}

/// Sends one span in.
pub async fn send_in(own: &Own) -> Result<Ids> {
    let ids = Ids::fresh();
    let call = Call::export(&trace::request(&ids))?;
    Connection::open(&own.grpc).await?.call(call).await?.expect_full("the suite's own span")?;
    Ok(ids)
}

fn number(ids: &Ids) -> u64 {
    u64::from_be_bytes(ids.span)
}

/// The requests in which a span came, once there are so many.
pub async fn attempts(sink: &Sink, ids: &Ids, times: usize) -> Result<Vec<Attempt>> {
    let of_span = || {
        sink.arrivals(|all| {
            let of_span = all.attempts.iter().filter(|attempt| attempt.ids.contains(&number(ids)));
            of_span.cloned().collect::<Vec<_>>()
        })
    };
    let enough = async || Some(of_span()).filter(|attempts| attempts.len() >= times);
    let found = wait::until(&format!("attempt {times} to deliver a span"), enough).await;
    found.with_context(|| format!("{} were made", of_span().len()))
}

/// When they came.
pub async fn times(sink: &Sink, ids: &Ids, times: usize) -> Result<Vec<Instant>> {
    Ok(attempts(sink, ids, times).await?.iter().map(|attempt| attempt.at).collect())
}

/// How long passed between one and the next.
pub fn gaps(times: &[Instant]) -> Vec<Duration> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Answers as told, and sees that a span which is sent in comes again, and at last is taken.
pub async fn is_sent_again(own: &Own, what: &str, behaviour: Behaviour) -> Result<Vec<Instant>> {
    own.sink.behave(behaviour);
    let ids = send_in(own).await?;
    let seen = times(&own.sink, &ids, 2).await;
    own.sink.behave(Behaviour::Accept);
    let seen = seen.with_context(|| format!("{what}: it is not sent again"))?;
    Subject::arrived(&own.sink, &ids).await.with_context(|| what.to_owned())?;
    Ok(seen)
}

/// Answers each as told, and sees that the span which is sent in comes once only.
pub async fn are_given_up(own: &Own, answers: Vec<(String, Behaviour)>) -> Result<()> {
    let mut sent = Vec::new();
    for (what, behaviour) in answers {
        own.sink.behave(behaviour);
        let ids = send_in(own).await?;
        attempts(&own.sink, &ids, 1).await?;
        sent.push((what, ids));
    }
    tokio::time::sleep(SILENCE).await;
    let mut again = Vec::new();
    for (what, ids) in &sent {
        let times = own.sink.arrivals(|all| all.attempts_of(number(ids)).len());
        if times > 1 {
            again.push(format!("{what} ({times} times)"));
        }
    }
    ensure!(again.is_empty(), "it is sent again after {}", again.join(", "));
    Ok(())
}
