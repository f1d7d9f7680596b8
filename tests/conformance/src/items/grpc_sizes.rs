//! gRPC: size limits and what is compressed strangely.

use crate::Subject;
use crate::item::{Found, Item, held, item};
use crate::raw::grpc::{Answer, Call, Connection, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, promised};
use crate::raw::pack;
use crate::trace::{self, Ids};
use anyhow::{Result, ensure};
use bytes::Bytes;

pub const ITEMS: &[Item] = &[
    item!("G3", Required, "The limit (64 MiB by default) holds on the wire and after decompression", g3),
    item!("G4", Required, "One byte over it answers RESOURCE_EXHAUSTED without RetryInfo: not to be sent again", g4),
    item!(
        "G17",
        Advised,
        "gzip of several members is decoded in full; cut off or followed by junk: INVALID_ARGUMENT",
        g17
    ),
];

async fn g3(subject: &Subject) -> Result<Found> {
    let connection = Connection::open(&subject.grpc).await?;
    let largest = trace::request_of_size(&Ids::fresh(), subject.limit);
    connection.call(Call::export(&largest)?).await?.expect_full("a message of exactly the limit")?;
    let packed = pack::gzip(&largest)?;
    connection.call(Call::packed("gzip", &packed)?).await?.expect_full("the same, gzipped")?;
    held(format!("{} bytes are taken, plain and gzipped", subject.limit))
}

async fn g4(subject: &Subject) -> Result<Found> {
    let connection = Connection::open(&subject.grpc).await?;
    let (over, _held_back) = Call::begun(promised(subject.limit + 1)?);
    not_retryable("one byte over the limit on the wire", connection.call(over).await?)?;
    let bomb = pack::gzip(&trace::request_of_size(&Ids::fresh(), subject.limit + 1))?;
    not_retryable("one byte over it after gzip", connection.call(Call::packed("gzip", &bomb)?).await?)?;
    held(format!("RESOURCE_EXHAUSTED without RetryInfo at {} bytes, both ways", subject.limit + 1))
}

fn not_retryable(what: &str, answer: Answer) -> Result<()> {
    let answer = answer.expect(what, &[RESOURCE_EXHAUSTED])?;
    let delay = answer.status()?.map(|status| status.retry_delay()).transpose()?.flatten();
    ensure!(delay.is_none(), "{what}: RetryInfo of {delay:?}");
    Ok(())
}

async fn g17(subject: &Subject) -> Result<Found> {
    let connection = Connection::open(&subject.grpc).await?;
    let (first, second) = (Ids::fresh(), Ids::fresh());
    let start = trace::request(&first);
    let message = Bytes::from([start.clone(), trace::request(&second)].concat());
    for cut in [start.len(), start.len() / 2] {
        let call = Call::packed("gzip", &pack::members(&message, cut)?)?;
        connection.call(call).await?.expect_full("gzip of two members")?;
    }
    let whole = pack::gzip(&message)?;
    let junk = Bytes::from([&whole[..], b"junk"].concat());
    for (what, packed) in [("gzip that is cut off", whole.slice(..whole.len() - 9)), ("gzip and junk after it", junk)] {
        connection.call(Call::packed("gzip", &packed)?).await?.expect(what, &[INVALID_ARGUMENT])?;
    }
    if let Some(sink) = subject.sink() {
        Subject::arrived(sink, &first).await?;
        Subject::arrived(sink, &second).await?;
        return held("both members' spans arrived; INVALID_ARGUMENT for the others");
    }
    held("taken and refused as said; without a sink, whether both members were read is not seen")
}
