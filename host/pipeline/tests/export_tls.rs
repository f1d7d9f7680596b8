//! The exporters over TLS and over connections that are cut, from outside: certificates made on the fly, rustls on the
//! other side, both protocols.
#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

#[path = "export/backend.rs"]
mod backend;
#[path = "export/bench.rs"]
mod bench;
#[path = "support/certificates.rs"]
mod certificates;
#[path = "export/cut.rs"]
mod cut;
#[path = "export/files.rs"]
mod files;
#[path = "export/handshake.rs"]
mod handshake;
#[path = "support/log.rs"]
mod log;
#[path = "export/relay.rs"]
mod relay;
#[path = "export/server.rs"]
mod server;
#[path = "support/wait.rs"]
mod wait;
