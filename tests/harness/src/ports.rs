//! Free ports of loopback, kept for whoever is told of them.

use anyhow::{Context as _, Result};
use tokio::net::TcpSocket;

/// Ports that nobody else on this machine is given as long as this is there, and on which a process can listen all the same: a socket that
/// is bound and does not listen stands in the way of those only that ask for any free port. It takes Linux, and `SO_REUSEADDR` of both, which is usual.
#[derive(Debug)]
pub struct FreePorts<const N: usize> {
    /// Which.
    pub numbers: [u16; N],
    _held: [TcpSocket; N],
}

impl<const N: usize> FreePorts<N> {
    /// So many that are free.
    pub fn hold() -> Result<Self> {
        let sockets = (0..N).map(|_| {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(([127, 0, 0, 1], 0).into())?;
            Ok((socket.local_addr()?.port(), socket))
        });
        let sockets: Vec<_> = sockets.collect::<std::io::Result<_>>().context("looking for a free port")?;
        let (numbers, held): (Vec<u16>, Vec<TcpSocket>) = sockets.into_iter().unzip();
        Ok(Self { numbers: numbers.try_into().expect("one each"), _held: held.try_into().expect("one each") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn who_is_told_of_a_port_can_listen_there_and_again() -> Result<()> {
        let ports = FreePorts::<3>::hold()?;
        for port in ports.numbers {
            for _ in 0..2 {
                let listener = TcpListener::bind(("127.0.0.1", port))?;
                assert_eq!(listener.local_addr()?.port(), port);
            }
        }
        Ok(())
    }

    #[test]
    fn who_asks_for_any_port_is_not_given_one_that_is_held() -> Result<()> {
        let ports = FreePorts::<200>::hold()?;
        // Each begins to look at a place of its own: one of the held ones would come soon.
        for _ in 0..5_000 {
            let other = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            assert!(!ports.numbers.contains(&other));
        }
        Ok(())
    }
}
