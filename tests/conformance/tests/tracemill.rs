//! tracemill passes every item of the suite, except for what is known.

use anyhow::Result;
use conformance::known::KNOWN_FAILURES;
use conformance::subject::DEFAULT_LIMIT;
use conformance::table::Column;
use conformance::{Make, Subject, Verdict, items, table};

/// What the suite starts itself leaves nothing untried but warnings, files, and what only readers do.
const UNTRIED: [&str; 3] = ["G11", "J14", "P12"];

/// As `--target` does with a server of which nothing is known but its address.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_runs_already_is_tried_as_far_as_its_address_allows() -> Result<()> {
    let running = Subject::start(Make::Tracemill).await?;
    let somewhere = Subject::at(running.grpc.clone(), running.http.clone(), DEFAULT_LIMIT);
    // All but one, for which a server with its defaults waits a minute for a slow body.
    let ids = items::all().into_iter().map(|item| item.id.to_owned()).filter(|id| id != "H20");
    let outcomes = conformance::run(&somewhere, &ids.collect::<Vec<_>>()).await;
    let failed: Vec<_> = outcomes.iter().filter(|each| each.verdict == Verdict::Failed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let verdict = |id: &str| outcomes.iter().find(|each| each.item.id == id).map(|each| each.verdict);
    // What answers say can be seen from outside; what arrives behind the server cannot, nor can another be started.
    for (id, expected) in [
        ("G2", Verdict::Passed),
        ("H9", Verdict::Passed),
        ("D1", Verdict::NotApplicable),
        ("E1", Verdict::NotApplicable),
    ] {
        assert_eq!(verdict(id), Some(expected), "{id}");
    }
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn tracemill_passes_every_item_that_is_not_a_known_failure() -> Result<()> {
    let subject = Subject::start(Make::Tracemill).await?;
    let outcomes = conformance::run(&subject, &[]).await;
    let known = |id: &str| KNOWN_FAILURES.iter().any(|(known, _)| *known == id);
    let new: Vec<_> = outcomes.iter().filter(|each| each.verdict == Verdict::Failed && !known(each.item.id)).collect();
    let fixed: Vec<_> = outcomes.iter().filter(|each| each.verdict == Verdict::Passed && known(each.item.id)).collect();
    assert!(new.is_empty() && fixed.is_empty(), "failed: {new:#?}\nno longer a known failure: {fixed:#?}");
    let untried = outcomes.iter().filter(|each| each.verdict == Verdict::NotApplicable).map(|each| each.item.id);
    let untried: Vec<_> = untried.filter(|id| !known(id)).collect();
    let is_fine = untried.iter().all(|id| UNTRIED.contains(id));
    assert!(is_fine, "{untried:?}\n{}", table::shown(&[Column { name: "tracemill", outcomes }]));
    subject.stop().await
}
