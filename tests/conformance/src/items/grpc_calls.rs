//! gRPC: calls beside each other, their deadlines, and their end at shutdown.

use crate::item::{Found, Item, held, item, not_applicable};
use crate::own::Shape;
use crate::raw::grpc::{Answer, Call, Connection, DEADLINE_EXCEEDED, OK, UNAVAILABLE, promised};
use crate::trace::{self, Ids};
use crate::{Make, Subject};
use anyhow::{Result, bail, ensure};
use harness::wait;
use harness::wire::{self, Compression};
use nix::sys::signal::Signal;
use std::pin::pin;
use tokio::net::TcpStream;

pub const ITEMS: &[Item] = &[
    item!("G14", Advised, "100 calls at once on one connection succeed; a slow one does not hold up the others", g14),
    item!("G16", Required, "grpc-timeout is honoured; a cancelled call gives its bytes back", g16),
    item!(
        "G18",
        Advised,
        "Graceful shutdown: GOAWAY, calls in flight are answered, new ones get a retryable signal",
        g18
    ),
];

async fn g14(subject: &Subject) -> Result<Found> {
    const CALLS: usize = 100;
    const LARGE: usize = 256 << 10;
    let connection = Connection::open(&subject.grpc).await?;
    let body = wire::frame(&trace::request(&Ids::fresh()), Compression::None)?;
    let (slow, rest) = Call::begun(body.slice(..20));
    let slow = tokio::spawn({
        let connection = connection.clone();
        async move { connection.call(slow).await }
    });
    let mut calls = Vec::with_capacity(CALLS);
    for at in 1..CALLS {
        let ids = Ids::fresh();
        let message = if at % 10 == 0 { trace::request_of_size(&ids, LARGE) } else { trace::request(&ids) };
        let (connection, call) = (connection.clone(), Call::export(&message)?);
        calls.push(tokio::spawn(async move { connection.call(call).await }));
    }
    for call in calls {
        call.await??.expect_full("a call among 100")?;
    }
    ensure!(!slow.is_finished(), "half a message was answered");
    ensure!(rest.send(body.slice(20..)).is_ok(), "the slow call was given up");
    slow.await??.expect_full("the slow call")?;
    held("99 of up to 256 KiB were answered beside one that stood still, and then that one")
}

async fn g16(subject: &Subject) -> Result<Found> {
    let connection = Connection::open(&subject.grpc).await?;
    let ended = match deadline(&connection, 1024).await {
        Ok(answer) => {
            answer.expect("a body that never comes, grpc-timeout: 100m", &[DEADLINE_EXCEEDED])?;
            "DEADLINE_EXCEEDED"
        }
        // The client has ended the call by its own clock; who still listens is told that nobody works on it.
        Err(error) if was_cancelled(&error) => "the stream is cancelled",
        Err(error) => return Err(error),
    };
    if !subject.make().is_some_and(Make::has_budget) {
        return held(format!("{ended}; no bound of bytes under way is known that a cancelled call could keep"));
    }
    // The budget is as large as the largest request: more than half of it can be held once.
    let most = subject.limit / 4 * 3;
    let hold = || {
        let (call, rest) = Call::begun(promised(most)?);
        let connection = connection.clone();
        anyhow::Ok((tokio::spawn(async move { connection.call(call).await }), rest))
    };
    let mut holder = hold()?;
    let refused = wait::until("a second call to find no room", async || {
        // The second may have been first; then it was the holder that found none.
        if holder.0.is_finished() {
            holder = hold().ok()?;
        }
        answered(&connection, most, UNAVAILABLE).await
    });
    refused.await??;
    holder.0.abort();
    wait::until("room, after that call was cancelled", async || answered(&connection, most, DEADLINE_EXCEEDED).await)
        .await??;
    held(format!("{ended}; what a cancelled call held was free again"))
}

/// HTTP/2's CANCEL.
fn was_cancelled(error: &anyhow::Error) -> bool {
    let reset = error.chain().find_map(|cause| cause.downcast_ref::<h2::Error>());
    reset.and_then(h2::Error::reason) == Some(h2::Reason::CANCEL)
}

/// A call that promises so much and sends none of it.
async fn deadline(connection: &Connection, size: usize) -> Result<Answer> {
    let (call, _rest) = Call::begun(promised(size)?);
    connection.call(call.header("grpc-timeout", "100m")).await
}

/// Whether a call that promises so much is answered so.
async fn answered(connection: &Connection, size: usize, code: i32) -> Option<Result<()>> {
    match deadline(connection, size).await {
        Ok(answer) => (answer.code == Some(code)).then_some(Ok(())),
        Err(error) => Some(Err(error)),
    }
}

async fn g18(subject: &Subject) -> Result<Found> {
    let Some(mut own) = subject.another(Shape::default()).await? else {
        return not_applicable("it ends the server, and this one is not the suite's");
    };
    let address = own.grpc.clone();
    let connection = Connection::open(&address).await?;
    let body = wire::frame(&trace::request(&Ids::fresh()), Compression::None)?;
    let (call, rest) = Call::begun(body.slice(..20));
    let mut in_flight = pin!(connection.call(call));
    // The server reads in order: once the second is answered, it has the beginning of the first.
    let second = connection.call(one_more()?);
    tokio::select! {
        biased;
        answer = &mut in_flight => bail!("half a message was answered: {answer:?}"),
        second = second => second?.expect_full("a call before")?,
    }
    own.signal(Signal::SIGTERM)?;
    wait::until("the listener to be closed", async || TcpStream::connect(&address).await.is_err().then_some(()))
        .await?;
    let late = wait::until("an end of new calls", async || match connection.call(one_more().ok()?).await {
        Ok(answer) if answer.code == Some(OK) => None,
        Ok(answer) => Some(answer.expect("a call after SIGTERM", &[UNAVAILABLE]).map(|_| "UNAVAILABLE")),
        // A stream that was never begun may be sent again elsewhere.
        Err(_) => Some(Ok("GOAWAY")),
    });
    let late = late.await??;
    ensure!(rest.send(body.slice(20..)).is_ok(), "the call in flight was given up");
    let answer = in_flight.await?.expect("the call in flight", &[OK, UNAVAILABLE])?;
    let status = own.ended().await?;
    ensure!(status.success(), "it ended with {status}");
    held(format!("new calls: {late}; the one in flight: {}", answer.shown()))
}

fn one_more() -> Result<Call> {
    Call::export(&trace::request(&Ids::fresh()))
}
