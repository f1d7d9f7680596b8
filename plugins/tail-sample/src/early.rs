//! Which traces are decided at once: those with a span by which a policy's yes is certain, and stays so however the trace grows.

use tracemill_sdk::bindings::types;

use crate::policy::Policy;
use crate::predicate::Predicate;

/// Lists of conditions of one policy by which the host asks early; more are not worth their cost.
const MOST_LISTS: usize = 16;

/// Conditions on one span by which a policy's yes is certain and final; none where there are no such conditions.
pub fn conditions(policy: &Policy, predicates: &[Predicate]) -> Option<Vec<Vec<types::Condition>>> {
    match policy {
        Policy::Test { predicate, inverted: false } => predicates[*predicate].early(),
        Policy::All(policies) => {
            // One span that meets one list of each.
            let mut lists = vec![Vec::new()];
            for policy in policies.iter().filter(|policy| !matches!(policy, Policy::Always)) {
                let others = conditions(policy, predicates)?;
                let both = |list: &Vec<types::Condition>| {
                    others.iter().map(|other| [list.as_slice(), other].concat()).collect::<Vec<_>>()
                };
                lists = lists.iter().flat_map(both).collect();
                if lists.len() > MOST_LISTS {
                    return None;
                }
            }
            Some(lists).filter(|lists| lists.iter().all(|list| !list.is_empty()))
        }
        _ => None,
    }
}
