//! What a back end's answer means: OTLP's retry tables, for both protocols, in one place.

use std::borrow::Cow;
use std::io::Read as _;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, StatusCode, header};

use super::link::{LARGEST_ANSWER, LinkError, Reply};

mod message;

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Taken, but for so many spans; with what the back end has to say about it.
    Accepted { rejected: u64, message: String },
    /// Refused for good.
    Rejected { reason: String },
    /// Refused because it is larger than the back end takes: smaller requests may be taken.
    TooLarge { reason: String },
    /// Not taken now: to be sent again, no sooner than after the delay that the back end asked for.
    Retry { after: Option<Duration>, reason: String },
}

const CANCELLED: u32 = 1;
const UNKNOWN: u32 = 2;
const DEADLINE_EXCEEDED: u32 = 4;
const PERMISSION_DENIED: u32 = 7;
const RESOURCE_EXHAUSTED: u32 = 8;
const ABORTED: u32 = 10;
const OUT_OF_RANGE: u32 = 11;
const UNIMPLEMENTED: u32 = 12;
const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;
const DATA_LOSS: u32 = 15;
const UNAUTHENTICATED: u32 = 16;

/// The answer to a gRPC call.
pub(super) fn of_grpc(reply: &Reply) -> Answer {
    // An answer without a message has its status among the headers.
    let trailers = if reply.headers.contains_key("grpc-status") { &reply.headers } else { &reply.trailers };
    let Some(code) = trailers.get("grpc-status").and_then(|code| code.to_str().ok()?.parse::<u32>().ok()) else {
        let code = code_of_http(reply.status);
        let reason = format!("HTTP {} without a gRPC status", reply.status);
        return judge(code, None, reason);
    };
    if code == 0 {
        return match grpc_message(reply) {
            Some(message) => accepted(&message),
            None => Answer::Rejected { reason: LinkError::AnswerTooLarge.to_string() },
        };
    }
    let text = trailers.get("grpc-message").map(|text| percent_decoded(text.as_bytes())).unwrap_or_default();
    let reason = format!("gRPC status {} {}: {}", code, name_of(code), shortened(&text));
    let details = trailers.get("grpc-status-details-bin").and_then(|details| BASE64.decode(details).ok());
    let retry_info = details.as_deref().and_then(message::retry_info);
    if matches!(code, RESOURCE_EXHAUSTED | OUT_OF_RANGE) && retry_info.is_none() && is_about_size(&text) {
        return Answer::TooLarge { reason };
    }
    judge(code, retry_info, reason)
}

/// Whether a status is about the size of the message and nothing else that may be exhausted. gRPC has no code of its own for
/// that, and OTLP's table knows one of the two that servers use as passing: only their words tell. In order: Go, the C core
/// and JavaScript; tonic, and OTLP servers; Java; .NET.
fn is_about_size(text: &str) -> bool {
    let text = text.to_lowercase();
    ["larger than", "too large", "exceeds maximum size", "exceeds the maximum configured message size"]
        .iter()
        .any(|words| text.contains(words))
}

/// The message behind five bytes of framing: a flag, and the length. Servers in Go compress answers to compressed requests,
/// whatever the request says that it accepts. Empty where it cannot be read; `None` where it is larger than is read.
fn grpc_message(reply: &Reply) -> Option<Cow<'_, [u8]>> {
    let Some((&[flag, ..], message)) = reply.body.split_first_chunk::<5>() else { return Some(Cow::default()) };
    let encoding = reply.headers.get("grpc-encoding").map_or(&b""[..], |value| value.as_bytes());
    let mut inflated = Vec::new();
    let limit = LARGEST_ANSWER as u64 + 1;
    let read = match (flag, encoding) {
        (0, _) => return Some(Cow::Borrowed(message)),
        (_, b"gzip") => flate2::read::MultiGzDecoder::new(message).take(limit).read_to_end(&mut inflated),
        (_, b"zstd") => zstd::Decoder::new(message).and_then(|decoder| decoder.take(limit).read_to_end(&mut inflated)),
        _ => return Some(Cow::default()),
    };
    if read.is_err() {
        inflated.clear();
    }
    (inflated.len() <= LARGEST_ANSWER).then_some(Cow::Owned(inflated))
}

/// With or without padding, as the gRPC specification asks.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn judge(code: u32, retry_info: Option<Duration>, reason: String) -> Answer {
    match code {
        CANCELLED | DEADLINE_EXCEEDED | ABORTED | OUT_OF_RANGE | UNAVAILABLE | DATA_LOSS => {
            Answer::Retry { after: retry_info, reason }
        }
        RESOURCE_EXHAUSTED if retry_info.is_some() => Answer::Retry { after: retry_info, reason },
        _ => Answer::Rejected { reason },
    }
}

/// The status that gRPC gives to an HTTP answer that has none of its own.
fn code_of_http(status: StatusCode) -> u32 {
    match status.as_u16() {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        429 | 502 | 503 | 504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

fn name_of(code: u32) -> &'static str {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    NAMES.get(code as usize).copied().unwrap_or("(no such status)")
}

/// The answer to an HTTP request, at a time.
pub(super) fn of_http(reply: &Reply, now: SystemTime) -> Answer {
    if reply.status.is_success() {
        return accepted(&reply.body);
    }
    let text = reason_of_http(reply);
    let reason = format!("HTTP {}: {}", reply.status, shortened(&text));
    match reply.status.as_u16() {
        413 => Answer::TooLarge { reason },
        429 | 502..=504 => Answer::Retry { after: retry_after(&reply.headers, now), reason },
        _ => Answer::Rejected { reason },
    }
}

/// `Retry-After`, in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

fn reason_of_http(reply: &Reply) -> String {
    let content_type = reply.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let status =
        if content_type.starts_with(b"application/x-protobuf") { message::status_message(&reply.body) } else { None };
    status.unwrap_or_else(|| String::from_utf8_lossy(&reply.body).trim().to_owned())
}

fn accepted(body: &[u8]) -> Answer {
    // An answer that cannot be read takes nothing back: the status has said that the spans are taken.
    let partial = message::partial_success(body).unwrap_or_default();
    Answer::Accepted { rejected: partial.rejected, message: shortened(&partial.message) }
}

/// Enough for a log line.
fn shortened(text: &str) -> String {
    const MOST: usize = 300;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// `%XX` to bytes, as in `grpc-message`; what is no escape stays as it is.
fn percent_decoded(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let escaped = match tail {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        out.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests;
