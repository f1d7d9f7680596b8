//! How bytes in flight are shared: every bound holds, a refusal names the one it was, and nobody is starved.

use std::collections::VecDeque;

use super::*;

const LIMIT: usize = 1_000_000;
const REQUEST: usize = 1000;

fn address(at: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, at])
}

fn admission() -> Admission {
    Admission::new(Budget::new(LIMIT), usize::MAX, usize::MAX)
}

/// Takes until it is refused, and says why.
fn fill(payer: &Payer, held: &mut Vec<Permit>) -> Full {
    loop {
        match payer.take(REQUEST) {
            Ok(permit) => held.push(permit),
            Err(full) => return full,
        }
    }
}

fn bytes(held: &[Permit]) -> usize {
    held.iter().map(Permit::bytes).sum()
}

#[test]
fn no_more_is_taken_than_there_is_and_all_of_it_comes_back() {
    let budget = Budget::new(100);
    let mut first = budget.take(60).unwrap();
    assert!(budget.take(41).is_none());
    let second = budget.take(40).unwrap();
    assert_eq!(first.resize(61), Err(Full::Budget));
    drop(second);
    assert_eq!(first.resize(100), Ok(()));
    assert_eq!(budget.used(), 100);
    assert_eq!(first.resize(10), Ok(()));
    assert_eq!(budget.used(), 10);
    drop(first);
    assert_eq!(budget.used(), 0);
    assert!(budget.take(usize::MAX).is_none());
}

#[test]
fn a_refusal_names_the_bound_and_leaves_nothing_taken() {
    let admission = Admission::new(Budget::new(LIMIT), 5000, 3000);
    let connection = admission.connection(address(1));
    let tenant = connection.on_behalf_of(admission.named(b"a"));
    let held = tenant.take(3000).unwrap();
    assert_eq!(tenant.take(1).unwrap_err(), Full::Tenant);
    let elsewhere = admission.connection(address(2)).on_behalf_of(admission.named(b"a"));
    assert_eq!(elsewhere.take(1).unwrap_err(), Full::Tenant, "a tenant's connections share its budget");
    assert_eq!(connection.take(2001).unwrap_err(), Full::Connection);
    let mut more = connection.take(2000).unwrap();
    assert_eq!(more.resize(2001), Err(Full::Connection));
    assert_eq!(admission.budget().used(), 5000);
    drop((held, more));
    assert_eq!(admission.budget().used(), 0);
    drop(tenant.take(3000).unwrap());
    assert!(elsewhere.take(3000).is_ok());
}

#[test]
fn a_greedy_sender_leaves_room_for_others() {
    let admission = admission();
    let mut greedy = Vec::new();
    // Many connections take no more together than one sender may.
    let connections: Vec<_> = (0..100).map(|_| admission.connection(address(1))).collect();
    for connection in connections.iter().cycle().take(10_000) {
        greedy.extend(connection.take(REQUEST));
    }
    assert!(bytes(&greedy) > LIMIT / 2 && bytes(&greedy) <= LIMIT * 2 / 3, "{}", bytes(&greedy));
    assert_eq!(connections[0].take(REQUEST).unwrap_err(), Full::Share);
    let other = admission.connection(address(2));
    let mut held = Vec::new();
    fill(&other, &mut held);
    assert!(bytes(&held) > LIMIT / 6, "the other gets {}", bytes(&held));
    // What comes back goes to who holds less.
    greedy.truncate(greedy.len() / 2);
    fill(&other, &mut held);
    fill(&connections[0], &mut greedy);
    assert!(bytes(&held).abs_diff(bytes(&greedy)) < LIMIT / 10, "{} and {}", bytes(&held), bytes(&greedy));
}

#[test]
fn senders_that_are_equally_greedy_get_about_the_same_and_whoever_holds_nothing_gets_in() {
    const GREEDY: usize = 20;
    let admission = admission();
    let senders: Vec<_> = (0..GREEDY).map(|at| admission.connection(address(at as u8))).collect();
    // Requests are done in the order in which they came. The first sender comes long before the others.
    let mut under_way = VecDeque::new();
    let fill = |at: usize, under_way: &mut VecDeque<_>| {
        while let Ok(permit) = senders[at].take(REQUEST) {
            under_way.push_back((at, permit));
        }
    };
    fill(0, &mut under_way);
    for round in 0..10_000 {
        drop(under_way.pop_front());
        fill(round % GREEDY, &mut under_way);
        if round > 5000 {
            assert!(admission.connection(address(200)).take(5 * REQUEST).is_ok(), "refused in round {round}");
        }
    }
    let fair = under_way.len() / GREEDY;
    for sender in 0..GREEDY {
        let held = under_way.iter().filter(|(at, _)| *at == sender).count();
        assert!((fair / 2..=fair * 2).contains(&held), "{sender} has {held} under way, {fair} would be fair");
    }
    assert!(under_way.len() * REQUEST > LIMIT * 9 / 10, "the budget is not used");
}

#[test]
fn behind_one_address_connections_are_treated_alike() {
    let admission = admission();
    let (greedy, modest) = (admission.connection(address(1)), admission.connection(address(1)));
    let mut held = Vec::new();
    assert_eq!(fill(&greedy, &mut held), Full::Share);
    assert!((LIMIT / 2..=LIMIT * 4 / 7).contains(&bytes(&held)), "{}", bytes(&held));
    assert!(modest.take(LIMIT / 20).is_ok());
}

#[test]
fn on_one_connection_tenants_are_treated_alike() {
    let admission = admission();
    let connection = admission.connection(address(1));
    let (greedy, modest) = (admission.named(b"greedy"), admission.named(b"modest"));
    let mut held = Vec::new();
    assert_eq!(fill(&connection.on_behalf_of(greedy), &mut held), Full::Share);
    assert!(connection.on_behalf_of(modest).take(LIMIT / 20).is_ok());
}

#[test]
fn names_of_tenants_do_not_make_a_sender_more_than_one() {
    let admission = admission();
    let connection = admission.connection(address(1));
    let mut held = Vec::new();
    for name in 0..5000_u32 {
        held.extend(connection.on_behalf_of(admission.named(&name.to_be_bytes())).take(REQUEST));
    }
    assert!(bytes(&held) <= LIMIT * 2 / 3, "{}", bytes(&held));
    assert!(admission.connection(address(2)).take(LIMIT / 4).is_ok());
}

#[test]
fn one_large_request_is_taken_and_may_grow() {
    let admission = admission();
    let connection = admission.connection(address(1));
    let mut large = connection.take(LIMIT * 3 / 4).unwrap();
    assert_eq!(large.resize(LIMIT), Ok(()));
    drop(large);
    assert_eq!(admission.budget().used(), 0);
}

#[test]
fn a_tenant_with_a_token_is_a_sender_wherever_it_sends_from() {
    let admission = admission();
    let (greedy, modest) = (admission.granted(b"greedy"), admission.granted(b"modest"));
    let mut held = Vec::new();
    for at in 1..=10 {
        fill(&admission.connection(address(at)).on_behalf_of(greedy.clone()), &mut held);
    }
    assert!(bytes(&held) <= LIMIT * 2 / 3, "{}", bytes(&held));
    let connection = admission.connection(address(1));
    assert_eq!(connection.on_behalf_of(greedy).take(LIMIT / 10).unwrap_err(), Full::Share);
    assert!(connection.on_behalf_of(modest).take(LIMIT / 10).is_ok());
}
