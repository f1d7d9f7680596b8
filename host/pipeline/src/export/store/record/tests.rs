//! Records come back as they were written, and nothing else is taken for one.

use proptest::prelude::*;

use super::*;

fn context(tenant: Option<&str>, headers: &[(&str, &str)]) -> RequestContext {
    RequestContext {
        tenant: tenant.map(Box::from),
        peer: "192.0.2.7".into(),
        headers: headers.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
    }
}

fn parcel(body: impl Into<Bytes>) -> Parcel {
    let context = context(Some("team-a"), &[("x-scope-orgid", "7"), ("x-empty", "")]);
    Parcel { signal: Signal::Traces, body: body.into(), items: 3, context: Arc::new(context), custody: None }
}

fn written(parcel: &Parcel, sequence: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let prepared = Prepared::of(parcel, 1_700_000_000_000);
    prepared.write(sequence, &mut out);
    assert_eq!(out.len(), prepared.len());
    out
}

fn read(bytes: &[u8]) -> Option<Result<Parcel, Unreadable>> {
    let head = Head::read(bytes)?;
    Some(head.parcel(bytes.get(HEAD..head.len())?))
}

fn same(one: &Parcel, other: &Parcel) -> bool {
    one.body == other.body
        && one.items == other.items
        && one.context.tenant == other.context.tenant
        && one.context.peer == other.context.peer
        && one.context.headers == other.context.headers
}

#[test]
fn every_truncation_is_found() {
    for body in [vec![1; 40], b"items ".repeat(200)] {
        let bytes = written(&parcel(body), 5);
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_none(), "cut at {end} of {}", bytes.len());
        }
    }
}

#[test]
fn every_flipped_bit_is_found() {
    for body in [vec![1; 40], b"items ".repeat(200)] {
        let whole = written(&parcel(body), u64::MAX);
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(read(&bytes), Some(Ok(_))), "bit {bit}");
        }
    }
}

#[test]
fn a_head_is_known_even_where_the_body_has_rotted() {
    let mut bytes = written(&parcel(vec![1; 40]), 5);
    *bytes.last_mut().unwrap() ^= 1;
    let head = Head::read(&bytes).unwrap();
    assert_eq!((head.sequence, head.items, head.len()), (5, 3, bytes.len()));
    assert_eq!(head.parcel(&bytes[HEAD..]).unwrap_err(), Unreadable::Rotten);
}

#[test]
fn what_a_newer_version_has_added_is_skipped_or_set_aside_as_it_says() {
    let extended = |tag: u8, kind: u8, codec: u8| {
        let mut prepared = Prepared::of(&parcel(vec![1; 40]), 0);
        let mut body = Vec::new();
        put(&mut body, tag, &[b"new"]);
        body.extend_from_slice(&prepared.body);
        prepared.head =
            Head { fields: prepared.head.fields + 8, body_crc: crc32fast::hash(&body), kind, codec, ..prepared.head };
        prepared.head.parcel(&body)
    };
    assert!(same(&extended(100, kind(Signal::Traces), RAW).unwrap(), &parcel(vec![1; 40])));
    assert_eq!(extended(200, kind(Signal::Traces), RAW).unwrap_err(), Unreadable::Newer("field", 200));
    assert_eq!(extended(100, 77, RAW).unwrap_err(), Unreadable::Newer("kind", 77));
    assert_eq!(extended(100, kind(Signal::Traces), 9).unwrap_err(), Unreadable::Newer("codec", 9));
}

#[test]
fn what_compresses_is_stored_compressed_and_what_does_not_is_not() {
    let text = parcel(b"http.route /users/{id} ".repeat(1000));
    assert!(Prepared::of(&text, 0).len() < text.body.len() / 10);
    let mut noise = vec![0; 1000];
    rand::fill(&mut noise[..]);
    assert_eq!(Prepared::of(&parcel(noise.clone()), 0).head.codec, RAW);
    assert!(same(&read(&written(&parcel(noise.clone()), 1)).unwrap().unwrap(), &parcel(noise)));
}

proptest! {
    #[test]
    fn records_come_back_as_they_were(
        body in proptest::collection::vec(any::<u8>(), 0..600),
        times in 0usize..40,
        items: u32,
        sequence: u64,
        tenant in proptest::option::of(".*"),
        headers in proptest::collection::vec((".*", ".*"), 0..4),
    ) {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let context = Arc::new(context(tenant.as_deref(), &headers));
        let parcel = Parcel { signal: Signal::Traces, body: body.repeat(times).into(), items, context, custody: None };
        let bytes = written(&parcel, sequence);
        prop_assert_eq!(Head::read(&bytes).unwrap().sequence, sequence);
        prop_assert!(same(&read(&bytes).unwrap().unwrap(), &parcel));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), fields: bool) {
        let mut bytes = bytes;
        if fields {
            // With a valid head and check sums, so that what is behind them is reached.
            let head = Head { sequence: 1, time: 2, items: 3, plain: 4, payload: bytes.len() as u32 / 2, kind: kind(Signal::Traces),
                body_crc: crc32fast::hash(&bytes), fields: bytes.len().div_ceil(2) as u32, codec: ZSTD };
            let _any = head.parcel(&bytes);
            let mut whole = Vec::new();
            head.write(&mut whole);
            whole.append(&mut bytes);
            bytes = whole;
        }
        let _any = read(&bytes);
    }
}
