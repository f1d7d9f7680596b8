//! What the state keeps, counts, hands out and refuses.

use std::time::Duration;

use super::*;

#[test]
fn values_have_versions_that_never_come_back() {
    let state = StateStore::default();
    assert_eq!(state.get("a"), None);
    assert_eq!(state.replace("a", 0, b"1".to_vec()), Ok(true), "0 is absent");
    let (first, value) = state.get("a").expect("it was put");
    assert_eq!(value, b"1");
    assert_eq!(state.replace("a", 0, b"2".to_vec()), Ok(false), "it is there by now");
    state.put("a", b"3".to_vec()).expect("room");
    assert_eq!(state.replace("a", first, b"4".to_vec()), Ok(false), "somebody wrote in between");
    assert_eq!(state.get("a").map(|(_, value)| value), Some(b"3".to_vec()));
}

#[test]
fn counters_add_up_and_what_a_failed_call_added_is_taken_back() {
    let state = StateStore::default();
    assert_eq!(state.add("n", 5), Ok(5));
    assert_eq!(state.add("n", -7), Ok(-2));
    state.take_back("n", -7);
    assert_eq!(state.add("n", 0), Ok(5));
    assert_eq!(state.add("n", i64::MAX), Err(StateError::Overflow));
    state.take_back("n", 5);
    assert_eq!(state.usage(), (0, 0), "a counter at 0 takes no room");
}

#[test]
fn values_counters_and_buckets_have_separate_keys() {
    let state = StateStore::default();
    state.put("k", b"v".to_vec()).expect("room");
    assert_eq!(state.add("k", 1), Ok(1));
    assert_eq!(state.take("k", 1, 1, 0.0, 1, Instant::now()), Ok(1));
    assert_eq!(state.usage().0, 3);
    assert_eq!(state.get("k").map(|(_, value)| value), Some(b"v".to_vec()));
}

#[test]
fn a_bucket_gives_what_it_has_gains_over_time_and_takes_tokens_back() {
    let state = StateStore::default();
    let start = Instant::now();
    let take = |least, most, after| {
        state.take("b", least, most, 10.0, 20, start + Duration::from_millis(after)).expect("a valid rate")
    };
    assert_eq!(take(1, 15, 0), 15, "it begins full");
    assert_eq!(take(6, 15, 0), 0, "less than the least is there");
    assert_eq!(take(1, 15, 0), 5);
    assert_eq!(take(1, 15, 500), 5, "ten a second");
    state.give_back("b", 3);
    assert_eq!(take(1, 15, 500), 3);
    assert_eq!(take(1, 100, 60_000), 20, "never more than the burst");
}

#[test]
fn rates_that_are_no_rates_are_errors() {
    let state = StateStore::default();
    for rate in [f64::NAN, f64::INFINITY, -1.0] {
        assert_eq!(state.take("b", 1, 1, rate, 1, Instant::now()), Err(StateError::Rate));
    }
}

#[test]
fn the_state_is_bounded_in_keys_and_bytes() {
    let state = StateStore::new(StateLimits { keys: 3, bytes: 400, value: 100, key: 10 });
    assert_eq!(state.put("much too long", vec![]), Err(StateError::Key { length: 13, limit: 10 }));
    assert_eq!(state.put("a", vec![0; 101]), Err(StateError::Value { length: 101, limit: 100 }));
    state.put("a", vec![0; 100]).expect("room");
    state.put("b", vec![0; 100]).expect("room");
    assert_eq!(state.put("c", vec![0; 100]), Err(StateError::Bytes(400)));
    assert_eq!(state.add("c", 1), Ok(1));
    assert_eq!(state.add("d", 1), Err(StateError::Keys(3)));
    state.put("a", vec![]).expect("less than before");
    assert_eq!(state.usage(), (3, 3 * 65 + 100));
}

#[test]
fn buckets_that_are_full_again_make_room() {
    let state = StateStore::new(StateLimits { keys: 2, ..StateLimits::default() });
    let start = Instant::now();
    let take = |key, after| state.take(key, 1, 1, 1.0, 1, start + Duration::from_secs(after));
    assert_eq!((take("a", 0), take("b", 0)), (Ok(1), Ok(1)));
    assert_eq!(take("c", 0), Err(StateError::Keys(2)));
    assert_eq!(take("c", 2), Ok(1), "a and b have filled up");
    assert_eq!(state.usage(), (1, 65));
}

#[test]
fn a_copy_goes_its_own_way() {
    let state = StateStore::default();
    state.add("n", 1).expect("room");
    let copy = state.copy();
    assert_eq!((copy.add("n", 1), state.add("n", 0)), (Ok(2), Ok(1)));
}
