//! `grpc.reflection`: which services are here and how their messages are made, for `grpcurl` and its like. Version 1 and its
//! predecessor `v1alpha`, which many clients still ask, have the same messages under two names.
//!
//! The one method that is a stream in both directions: a question, its answer, and so on until the client has no more.

mod files;

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::request::Parts;
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use prost::Message as _;
use tokio::sync::mpsc::{Sender, channel};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest as Question;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse as Answer;
use tonic_reflection::pb::v1::{
    ErrorResponse, FileDescriptorResponse, ListServiceResponse, ServerReflectionRequest, ServerReflectionResponse,
    ServiceResponse,
};

use self::files::{FILES, SERVED};
use super::grpc::{framed, trailers};
use super::reply::Reply;
use super::status::{Code, Failure};

const PATHS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];
/// A question is a name.
const LARGEST: usize = 4 << 10;
/// How many are answered on one stream.
const MOST: usize = 1000;
/// How long the next one may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The length and the flag byte before each message.
const PREFIX: usize = 5;

/// Whether a call is about reflection. Such calls are no OTLP requests, and are not counted as such.
pub(super) fn is_asked(head: &Parts) -> bool {
    PATHS.contains(&head.uri.path())
}

/// Answers as long as there are questions.
pub(super) fn answer(body: Incoming) -> Reply {
    let (frames, reply) = channel(1);
    tokio::spawn(converse(body, frames));
    Reply::in_pieces(reply)
}

/// Ends when the client has gone away as well: nobody takes the frames then.
async fn converse(body: Incoming, frames: Sender<Frame<Bytes>>) {
    let mut questions = Questions { body, came: BytesMut::new() };
    let mut left = MOST;
    let ended = loop {
        let question = match tokio::time::timeout(PATIENCE, questions.next()).await {
            Ok(Ok(Some(question))) if left > 0 => question,
            Ok(Ok(Some(_))) => break Err(too_many()),
            Ok(Ok(None)) => break Ok(()),
            Ok(Err(failure)) => break Err(failure),
            Err(_) => break Err(Failure::deadline()),
        };
        left -= 1;
        let message = framed(&answer_to(question).encode_to_vec());
        if frames.send(Frame::data(message)).await.is_err() {
            return;
        }
    };
    let _gone = frames.send(Frame::trailers(trailers(ended.as_ref().err()))).await;
}

fn too_many() -> Failure {
    Failure { code: Code::ResourceExhausted, ..Failure::framing("more questions than are answered on one stream") }
}

/// What comes in, message by message.
struct Questions {
    body: Incoming,
    came: BytesMut,
}

impl Questions {
    async fn next(&mut self) -> Result<Option<ServerReflectionRequest>, Failure> {
        loop {
            if let Some(message) = self.whole()? {
                let read = ServerReflectionRequest::decode(message);
                return read.map(Some).map_err(|error| Failure::malformed(error.to_string()));
            }
            match self.body.frame().await {
                None if self.came.is_empty() => return Ok(None),
                None => return Err(Failure::malformed("the last message is cut off")),
                Some(Err(error)) => return Err(Failure::malformed(format!("the stream broke off: {error}"))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.came.extend_from_slice(&data);
                    }
                }
            }
        }
    }

    /// The next message, if all of it has come.
    fn whole(&mut self) -> Result<Option<BytesMut>, Failure> {
        let Some((&[flag, a, b, c, d], rest)) = self.came.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if flag != 0 {
            return Err(Failure::framing("questions about reflection are not taken compressed"));
        }
        if length > LARGEST {
            return Err(Failure::too_large(LARGEST));
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.came.advance(PREFIX);
        Ok(Some(self.came.split_to(length)))
    }
}

fn answer_to(request: ServerReflectionRequest) -> ServerReflectionResponse {
    let answer = match &request.message_request {
        Some(Question::ListServices(_)) => {
            let service = SERVED.iter().map(|name| ServiceResponse { name: (*name).to_owned() }).collect();
            Answer::ListServicesResponse(ListServiceResponse { service })
        }
        Some(Question::FileByFilename(name)) => file(FILES.by_name(name), "file", name),
        Some(Question::FileContainingSymbol(name)) => file(FILES.by_symbol(name), "symbol", name),
        // None of the messages here has any.
        Some(Question::FileContainingExtension(of)) => file(None, "extension of", &of.containing_type),
        Some(Question::AllExtensionNumbersOfType(name)) => file(None, "extension of", name),
        None => error(Code::InvalidArgument, "nothing is asked".to_owned()),
    };
    ServerReflectionResponse {
        valid_host: request.host.clone(),
        original_request: Some(request),
        message_response: Some(answer),
    }
}

fn file(found: Option<&[u8]>, what: &str, name: &str) -> Answer {
    match found {
        Some(file) => {
            Answer::FileDescriptorResponse(FileDescriptorResponse { file_descriptor_proto: vec![file.to_vec()] })
        }
        None => error(Code::NotFound, format!("there is no {what} {name} here")),
    }
}

fn error(code: Code, error_message: String) -> Answer {
    Answer::ErrorResponse(ErrorResponse { error_code: code as i32, error_message })
}
