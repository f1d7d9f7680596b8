//! Scalars of JSON in the forms that the protobuf mapping allows: numbers as strings, hex, base64, the names of infinities.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// How long the text of a number may be.
const NUMBER_LIMIT: usize = 1_000;

const PADDING: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, PADDING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, PADDING);

/// Appends the bytes that hex digits stand for.
pub(super) fn hex(text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    if !text.len().is_multiple_of(2) {
        return Err(format!("an id has an odd number of hex digits, {}", text.len()));
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    for pair in text.as_bytes().chunks_exact(2) {
        match (digit(pair[0]), digit(pair[1])) {
            (Some(high), Some(low)) => out.push(high << 4 | low),
            _ => return Err("an id has a character that is no hex digit".to_owned()),
        }
    }
    Ok(())
}

/// The bytes that base64 stands for, in either alphabet, with or without padding.
pub(super) fn base64(text: &str) -> Result<Vec<u8>, String> {
    let engine = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    engine.decode(text).map_err(|error| format!("bytes are not base64: {error}"))
}

/// A signed integer from its text.
pub(super) fn signed(text: &str) -> Result<i64, String> {
    text.parse().or_else(|_| whole(text).and_then(|v| i64::try_from(v).ok()).ok_or_else(|| no_integer(text, "int64")))
}

/// An unsigned integer from its text.
pub(super) fn unsigned(text: &str) -> Result<u64, String> {
    text.parse().or_else(|_| whole(text).and_then(|v| u64::try_from(v).ok()).ok_or_else(|| no_integer(text, "uint64")))
}

/// A whole number that is written with a fraction or an exponent: `1e3`, `5.0`.
fn whole(text: &str) -> Option<i128> {
    let value: f64 = text.parse().ok().filter(|_| text.len() <= NUMBER_LIMIT)?;
    (value.fract() == 0.0 && value.abs() < 2e19 && text.contains(['.', 'e', 'E'])).then_some(value as i128)
}

fn no_integer(text: &str, kind: &str) -> String {
    let shown: String = text.chars().take(40).collect();
    format!("`{shown}` is no {kind}")
}

/// A double from its JSON text, quoted or not.
pub(super) fn double(raw: &str) -> Result<f64, String> {
    let text = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or(raw);
    match text {
        "NaN" => return Ok(f64::NAN),
        "Infinity" => return Ok(f64::INFINITY),
        "-Infinity" => return Ok(f64::NEG_INFINITY),
        _ if text.len() > NUMBER_LIMIT => return Err(format!("a number has more than {NUMBER_LIMIT} characters")),
        _ => {}
    }
    // Rust would also read `inf` and the like.
    let plain = text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) && !text.contains(['i', 'n']);
    let value = text.parse::<f64>().ok().filter(|value| plain && value.is_finite());
    value.ok_or_else(|| no_integer(text, "double"))
}
