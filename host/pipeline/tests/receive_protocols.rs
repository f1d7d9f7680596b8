//! The receivers from outside: raw HTTP/1.1 and gRPC over a plain HTTP/2 client, against a handler that records.
#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

#[path = "receive/admission.rs"]
mod admission;
#[path = "receive/auth.rs"]
mod auth;
#[path = "support/certificates.rs"]
mod certificates;
#[path = "receive/connections.rs"]
mod connections;
#[path = "receive/cors.rs"]
mod cors;
#[path = "receive/cut.rs"]
mod cut;
#[path = "receive/frames.rs"]
mod frames;
#[path = "receive/grpc.rs"]
mod grpc;
#[path = "receive/health.rs"]
mod health;
#[path = "receive/http.rs"]
mod http1;
#[path = "receive/lifetime.rs"]
mod lifetime;
#[path = "receive/limits.rs"]
mod limits;
#[path = "support/log.rs"]
mod log;
#[path = "receive/reflection.rs"]
mod reflection;
#[path = "receive/signals.rs"]
mod signals;
#[path = "receive/support.rs"]
mod support;
#[path = "receive/tls.rs"]
mod tls;
#[path = "support/wait.rs"]
mod wait;
