//! The few protobuf messages that back ends answer with, as far as they matter here. Reads what it understands.

use std::time::Duration;

use otlp::wire::{Field, Reader, Slice};

/// `ExportTracePartialSuccess`.
#[derive(Debug, Default)]
pub(super) struct Partial {
    pub rejected: u64,
    pub message: String,
}

/// Of an `ExportTraceServiceResponse`; `None` where it cannot be read.
pub(super) fn partial_success(body: &[u8]) -> Option<Partial> {
    let mut partial = Partial::default();
    let whole = Slice { at: 0, len: u32::try_from(body.len()).ok()? };
    for response in fields(body, whole)? {
        if response.number == 1 {
            for field in fields(body, response.bytes().ok()?)? {
                match field.number {
                    1 => partial.rejected = field.varint().ok()?.cast_signed().max(0).cast_unsigned(),
                    2 => partial.message = text(body, field.bytes().ok()?),
                    _ => {}
                }
            }
        }
    }
    Some(partial)
}

/// The message of a `google.rpc.Status`.
pub(super) fn status_message(body: &[u8]) -> Option<String> {
    let whole = Slice { at: 0, len: u32::try_from(body.len()).ok()? };
    let mut fields = fields(body, whole)?.into_iter();
    fields.find(|field| field.number == 2).and_then(|field| Some(text(body, field.bytes().ok()?)))
}

/// The delay of the `RetryInfo` in a `google.rpc.Status`, if it has one.
pub(super) fn retry_info(body: &[u8]) -> Option<Duration> {
    const TYPE: &[u8] = b"google.rpc.RetryInfo";
    let whole = Slice { at: 0, len: u32::try_from(body.len()).ok()? };
    for detail in fields(body, whole)?.into_iter().filter(|field| field.number == 3) {
        let any = fields(body, detail.bytes().ok()?)?;
        let part = |number| any.iter().rfind(|field| field.number == number).and_then(|field| field.bytes().ok());
        let is_retry_info = part(1).is_some_and(|url| get(body, url).ends_with(TYPE));
        if is_retry_info {
            return part(2).map_or(Some(Duration::ZERO), |info| delay(body, info));
        }
    }
    None
}

/// `retry_delay` of a `RetryInfo`; zero where there is none.
fn delay(body: &[u8], info: Slice) -> Option<Duration> {
    let (mut seconds, mut nanos) = (0u64, 0u64);
    for delay in fields(body, info)?.into_iter().filter(|field| field.number == 1) {
        for field in fields(body, delay.bytes().ok()?)? {
            match field.number {
                1 => seconds = field.varint().ok()?,
                2 => nanos = field.varint().ok()?,
                _ => {}
            }
        }
    }
    let positive = |value: u64| value.cast_signed().max(0).cast_unsigned();
    Some(Duration::new(positive(seconds), positive(nanos).min(999_999_999) as u32))
}

fn fields(body: &[u8], message: Slice) -> Option<Vec<Field>> {
    let mut reader = Reader::within(body, message);
    let mut fields = Vec::new();
    while let Some(field) = reader.next().ok()? {
        fields.push(field);
    }
    Some(fields)
}

fn get(body: &[u8], slice: Slice) -> &[u8] {
    &body[slice.at as usize..slice.end() as usize]
}

fn text(body: &[u8], slice: Slice) -> String {
    String::from_utf8_lossy(get(body, slice)).into_owned()
}
