//! tracemill passes every item of the suite, except for what is known.

use anyhow::Result;
use conformance::known::KNOWN_FAILURES;
use conformance::{Subject, Verdict, table};

#[tokio::test(flavor = "multi_thread")]
async fn tracemill_passes_every_item_that_is_not_a_known_failure() -> Result<()> {
    let subject = Subject::start().await?;
    let outcomes = conformance::run(&subject, &[]).await;
    let known = |id: &str| KNOWN_FAILURES.iter().any(|(known, _)| *known == id);
    let new: Vec<_> = outcomes.iter().filter(|each| each.verdict == Verdict::Failed && !known(each.item.id)).collect();
    let fixed: Vec<_> = outcomes.iter().filter(|each| each.verdict == Verdict::Passed && known(each.item.id)).collect();
    assert!(new.is_empty() && fixed.is_empty(), "failed: {new:#?}\nno longer a known failure: {fixed:#?}");
    // What the suite starts itself leaves nothing untried but CORS, warnings and files.
    let untried = outcomes.iter().filter(|each| each.verdict == Verdict::NotApplicable).map(|each| each.item.id);
    let untried: Vec<_> = untried.filter(|id| !known(id)).collect();
    assert!(untried.iter().all(|id| ["G11", "H19", "J14"].contains(id)), "{}", table::shown(&outcomes));
    subject.stop().await
}
