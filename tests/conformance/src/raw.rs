//! Requests as no client library would send them.

mod body;
pub mod grpc;
pub mod http;
pub mod pack;
