//! Names to addresses. Asked whenever a connection is made, and every so often in between: a connection that lasts would never
//! learn that its back end has moved.

use std::io;
use std::net::SocketAddr;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

/// What knows where names lead.
pub(super) trait Resolve: Send + Sync {
    /// All addresses of a name, the best first. An error or no address at all says nothing about connections that are there.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// The system's own resolver: it knows the hosts file, search domains and caches of the machine. How long an answer holds it
/// does not tell, which is why names are asked for again at fixed times.
pub(super) struct System;

impl Resolve for System {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) }.boxed()
    }
}
