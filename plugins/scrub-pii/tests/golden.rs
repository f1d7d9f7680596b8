//! Golden cases, which the system tests run through the real host too.

use scrub_pii::ScrubPii;
use tracemill_sdk::prelude::*;

#[test]
fn golden_cases() {
    testing::golden::<ScrubPii>("tests/cases");
}
