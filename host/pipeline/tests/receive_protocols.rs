//! The receivers from outside: raw HTTP/1.1 and gRPC over a plain HTTP/2 client, against a handler that records.

#[path = "receive/grpc.rs"]
mod grpc;
#[path = "receive/http.rs"]
mod http1;
#[path = "receive/support.rs"]
mod support;
