//! What tracemill does not pass yet, and why. The test fails when one of these begins to pass, so that the list stays true.

/// Id and reason.
pub const KNOWN_FAILURES: &[(&str, &str)] = &[];
