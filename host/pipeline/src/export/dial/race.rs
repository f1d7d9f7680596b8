//! Which of several addresses answers: tried in turn, the next beside the last where that takes long ("happy eyeballs", RFC
//! 8305), so that one that swallows packets costs a quarter of a second and not the whole attempt.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

/// How long an address has to itself, as RFC 8305 recommends.
const HEAD_START: Duration = Duration::from_millis(250);

/// The first connection that is made, and to where. The error is the last address's.
pub(super) async fn first<S, F>(
    addresses: &[SocketAddr],
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<(SocketAddr, S)>
where
    F: Future<Output = io::Result<S>>,
{
    let mut waiting = by_turns(addresses).into_iter();
    let mut tries = FuturesUnordered::new();
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        if let Some(address) = waiting.next() {
            let attempt = connect(address);
            tries.push(async move { (address, attempt.await) });
        } else if tries.is_empty() {
            return Err(error);
        }
        tokio::select! {
            Some((address, outcome)) = tries.next() => match outcome {
                Ok(stream) => return Ok((address, stream)),
                Err(failed) => error = failed,
            },
            () = tokio::time::sleep(HEAD_START), if waiting.len() > 0 => {}
        }
    }
}

/// The two families by turns, in the order that each has: where one of them leads nowhere, every second try is good.
fn by_turns(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else { return Vec::new() };
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for &address in addresses {
        if address.is_ipv4() == first.is_ipv4() { one.push(address) } else { other.push(address) }
    }
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut turns = Vec::with_capacity(addresses.len());
    while turns.len() < addresses.len() {
        turns.extend(one.next());
        turns.extend(other.next());
    }
    turns
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use tokio::time::Instant;

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// An address by its port: how long it takes, and whether it answers then. Notes when each was tried.
    async fn race(list: &[&str], answers: fn(u16) -> (u64, bool)) -> (io::Result<u16>, Vec<(u16, u128)>) {
        let (addresses, started, tried) = (addresses(list), Instant::now(), Mutex::new(Vec::new()));
        let outcome = first(&addresses, |address| {
            tried.lock().push((address.port(), started.elapsed().as_millis()));
            let (millis, is_there) = answers(address.port());
            async move {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                if is_there { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
            }
        });
        (outcome.await.map(|(address, ())| address.port()), tried.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_refuses_gives_way_at_once_and_one_that_is_silent_after_a_head_start() {
        let list = ["10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3", "10.0.0.4:4"];
        let answers = |port| match port {
            1 => (5, false),
            2 => (1_000_000, true),
            3 => (400, true),
            _ => (100, true),
        };
        let (outcome, tried) = race(&list, answers).await;
        // 3 was begun first, 4 was there first.
        assert_eq!(outcome.unwrap(), 4);
        assert_eq!(tried, [(1, 0), (2, 5), (3, 255), (4, 505)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_took_long_may_still_be_the_first() {
        let (outcome, tried) = race(&["10.0.0.1:1", "10.0.0.2:2"], |port| (u64::from(port) * 280, true)).await;
        assert_eq!((outcome.unwrap(), tried.len()), (1, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn where_none_answers_the_error_is_the_last_ones_and_without_any_it_says_so() {
        let (outcome, tried) = race(&["10.0.0.1:1", "10.0.0.2:2"], |_| (1, false)).await;
        assert_eq!((outcome.unwrap_err().kind(), tried.len()), (io::ErrorKind::ConnectionRefused, 2));
        let (outcome, _) = race(&[], |_| (1, true)).await;
        assert_eq!(outcome.unwrap_err().to_string(), "the name has no address");
    }

    #[test]
    fn families_are_tried_by_turns() {
        let list = addresses(&["[::1]:1", "[::1]:2", "10.0.0.1:3", "[::1]:4", "10.0.0.1:5"]);
        let ports: Vec<u16> = by_turns(&list).iter().map(SocketAddr::port).collect();
        assert_eq!(ports, [1, 3, 2, 5, 4]);
        assert!(by_turns(&[]).is_empty());
    }
}
