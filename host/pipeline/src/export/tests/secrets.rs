//! Headers from files, as back ends see them.

use http::header;

use super::*;
use crate::export::config::{FileHeader, Form};

#[tokio::test(start_paused = true)]
async fn headers_come_from_their_files_and_follow_them() {
    for protocol in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let (token, key) = (folder.path().join("token"), folder.path().join("key"));
        std::fs::write(&token, "first\n").unwrap();
        std::fs::write(&key, "vendor").unwrap();
        let sink = Sink::new([], Reply::Ok);
        let mut config = paused(protocol);
        config.batch.timeout = Duration::ZERO;
        config.file_headers = vec![
            FileHeader { name: header::AUTHORIZATION, file: token.clone(), form: Form::Bearer },
            FileHeader { name: header::HeaderName::from_static("x-key"), file: key, form: Form::Plain },
        ];
        let bench = Bench::in_memory(config, &sink);
        bench.send(parcel(0..1)).unwrap();
        let seen = sink.until(|seen| seen.requests.len() == 1).await;
        assert_eq!(
            (&seen.requests[0]["authorization"], &seen.requests[0]["x-key"]),
            (&"Bearer first".parse().unwrap(), &"vendor".parse().unwrap())
        );
        std::fs::write(&token, "second\n").unwrap();
        let begun = Instant::now();
        for n in 1.. {
            bench.send(parcel(n..n + 1)).unwrap();
            let seen = sink.until(|seen| seen.taken.len() as u64 == n + 1).await;
            if seen.requests.last().unwrap()["authorization"] == "Bearer second" {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(5), "{protocol:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bench.until_quiet("test").await;
    }
}

#[tokio::test]
async fn a_header_whose_file_cannot_be_read_starts_no_destination() {
    let bench = Bench::new(Vec::new());
    let mut config = paused(Protocol::Grpc);
    let file = std::path::PathBuf::from("/nowhere/token");
    config.file_headers = vec![FileHeader { name: header::AUTHORIZATION, file, form: Form::Bearer }];
    let error = bench.exports.reconfigure(vec![config]).unwrap_err().to_string();
    assert!(error.starts_with("destination `test`: cannot read /nowhere/token: "), "{error}");
    assert!(bench.exports.status().is_empty());
}
