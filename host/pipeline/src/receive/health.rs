//! `grpc.health.v1.Health`: whether a signal would be taken now, for probes and load balancers that speak gRPC.

use http::{StatusCode, request::Parts};
use hyper::body::Incoming;
use otlp::signal::Signal;
use prost::Message as _;

use super::status::{Code, Failure};
use super::{Limits, Shared, body, grpc};
use crate::admit::{Budget, Payer};
use crate::paths;

const SERVICE: &str = "/grpc.health.v1.Health/";
const CHECK: &str = "/grpc.health.v1.Health/Check";
/// A question is a name.
const LARGEST: usize = 4 << 10;

/// `grpc.health.v1.HealthCheckRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct Question {
    #[prost(string, tag = "1")]
    service: String,
}

/// `grpc.health.v1.HealthCheckResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct Answer {
    #[prost(int32, tag = "1")]
    status: i32,
}

const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;

/// Whether a call is about health. Such calls are no OTLP requests, and are not counted as such.
pub(super) fn is_asked(head: &Parts) -> bool {
    head.uri.path().starts_with(SERVICE)
}

/// Answers with a message, or says why not.
pub(super) async fn answer(shared: &Shared, head: &Parts, body: &mut Incoming) -> Result<Vec<u8>, Failure> {
    if head.uri.path() != CHECK {
        // Clients that are told so about `Watch` go on as if there were no health to ask about.
        return Err(Failure::unsupported(StatusCode::NOT_FOUND, format!("of health only {CHECK} is offered")));
    }
    let encoding = grpc::encoding(head)?;
    // A server without room for more spans is busy, not ill: a question does not wait for that room.
    let (room, limits) = (Payer::from(Budget::new(LARGEST)), Limits { request_bytes: LARGEST, ..shared.limits });
    let message = shared.in_time(body::message(body, &room, &limits)).await?;
    let held = grpc::inflated(encoding, message, &limits)?;
    let question = Question::decode(held.bytes).map_err(|error| Failure::malformed(error.to_string()))?;
    // What can be asked about: the server as a whole, which is here for traces, and what it serves.
    let mut served = Signal::ALL.into_iter().filter(|signal| shared.handler.takes(*signal));
    let asked = match &*question.service {
        "" => Some(Signal::Traces),
        name => served.find(|signal| name == paths::service(*signal)),
    };
    let Some(signal) = asked else {
        return Err(Failure {
            code: Code::NotFound,
            ..Failure::unsupported(StatusCode::NOT_FOUND, "there is no service of this name here")
        });
    };
    let status = if shared.ready(signal).is_ok() { SERVING } else { NOT_SERVING };
    Ok(Answer { status }.encode_to_vec())
}
