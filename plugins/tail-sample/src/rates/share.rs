//! Sharing out what there is: nobody gets more than they ask for, and what they leave goes to the others.

use super::Key;

/// What somebody asks for, and how much of it they get beside the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand {
    /// How much.
    pub ask: f64,
    /// Parts are in proportion to it.
    pub weight: f64,
}

/// Shares out `budget`: each gets what they ask for or a part in proportion to their weight, whichever is less, and all of it goes if
/// enough is asked for.
pub fn fill(budget: f64, demands: &[Demand]) -> Vec<f64> {
    let mut grants = vec![0.0; demands.len()];
    let mut order: Vec<usize> = (0..demands.len()).filter(|&index| demands[index].weight > 0.0).collect();
    // Whoever asks least for their weight is satisfied first, and leaves more for the others.
    let per_weight = |index: &usize| demands[*index].ask / demands[*index].weight;
    order.sort_unstable_by(|one, other| per_weight(one).total_cmp(&per_weight(other)));
    let mut left = budget.max(0.0);
    let mut weights: f64 = order.iter().map(|&index| demands[index].weight).sum();
    for index in order {
        let Demand { ask, weight } = demands[index];
        let part = if weights > 0.0 { left * (weight / weights).min(1.0) } else { left };
        grants[index] = ask.min(part);
        left -= grants[index];
        weights -= weight;
    }
    grants
}

/// Shares out `budget` fairly among the first elements of the keys, each one's part among the second elements, and so on.
pub fn nested(budget: f64, asks: &[(Key, f64)], levels: usize) -> Vec<f64> {
    let mut grants = vec![0.0; asks.len()];
    let mut order: Vec<usize> = (0..asks.len()).collect();
    order.sort_unstable_by_key(|&index| asks[index].0);
    split(budget, asks, &order, 0, levels, &mut grants);
    grants
}

/// One level of `nested`, for those in `order`, which is sorted by key.
fn split(budget: f64, asks: &[(Key, f64)], order: &[usize], level: usize, levels: usize, grants: &mut [f64]) {
    let groups: Vec<&[usize]> = if level + 1 < levels {
        order.chunk_by(|&one, &other| asks[one].0[level] == asks[other].0[level]).collect()
    } else {
        order.chunks(1).collect()
    };
    let ask = |group: &&[usize]| Demand { ask: group.iter().map(|&index| asks[index].1).sum(), weight: 1.0 };
    let parts = fill(budget, &groups.iter().map(ask).collect::<Vec<_>>());
    for (group, part) in groups.into_iter().zip(parts) {
        match group {
            [one] => grants[*one] = part,
            several => split(part, asks, several, level + 1, levels, grants),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_asks_are_met_and_leave_more_for_the_others() {
        let demands = |asks: &[f64]| asks.iter().map(|&ask| Demand { ask, weight: 1.0 }).collect::<Vec<_>>();
        assert_eq!(fill(30.0, &demands(&[5.0, 100.0, 100.0])), [5.0, 12.5, 12.5]);
        assert_eq!(fill(30.0, &demands(&[5.0, 6.0])), [5.0, 6.0]);
        assert_eq!(fill(0.0, &demands(&[5.0])), [0.0]);
        assert_eq!(fill(9.0, &[Demand { ask: 10.0, weight: 2.0 }, Demand { ask: 10.0, weight: 1.0 }]), [6.0, 3.0]);
    }

    #[test]
    fn each_level_is_shared_by_itself() {
        // One tenant with two services, one of which has two routes; another tenant with one.
        let keys = [[1, 1, 1, 0], [1, 1, 2, 0], [1, 2, 1, 0], [2, 1, 1, 0]];
        let asks: Vec<_> = keys.iter().map(|&key| (key, 100.0)).collect();
        assert_eq!(nested(80.0, &asks, 3), [10.0, 10.0, 20.0, 40.0]);
        let modest: Vec<_> = keys.iter().zip([100.0, 100.0, 100.0, 8.0]).map(|(&key, ask)| (key, ask)).collect();
        assert_eq!(nested(80.0, &modest, 3), [18.0, 18.0, 36.0, 8.0]);
    }

    proptest! {
        #[test]
        fn all_of_it_goes_and_nobody_is_passed_over(
            list in prop::collection::vec((0.0..1e6, 0.01..100.0), 0..20),
            budget in 0.0..1e6,
        ) {
            let demands: Vec<_> = list.iter().map(|&(ask, weight)| Demand { ask, weight }).collect();
            let grants = fill(budget, &demands);
            let (asked, granted): (f64, f64) = (demands.iter().map(|demand| demand.ask).sum(), grants.iter().sum());
            prop_assert!((granted - asked.min(budget)).abs() < 1e-6 * (1.0 + budget));
            for (demand, grant) in demands.iter().zip(&grants) {
                prop_assert!(*grant >= 0.0 && *grant <= demand.ask);
                if *grant < demand.ask * (1.0 - 1e-9) {
                    // Who gets less than they ask for, gets at least as much for their weight as anybody else.
                    for (other, others) in demands.iter().zip(&grants) {
                        prop_assert!(grant / demand.weight >= others / other.weight * (1.0 - 1e-6) - 1e-9);
                    }
                }
            }
        }

        #[test]
        fn nested_budgets_are_kept(
            list in prop::collection::vec(((0u64..3, 0u64..3, 0u64..3), 0.0..1e3), 0..20),
            budget in 0.0..1e4,
        ) {
            let mut asks: Vec<_> = list.iter().map(|&((a, b, c), ask)| ([a, b, c, 0], ask)).collect();
            asks.sort_by_key(|(key, _)| *key);
            asks.dedup_by_key(|(key, _)| *key);
            let grants = nested(budget, &asks, 3);
            let asked: f64 = asks.iter().map(|(_, ask)| ask).sum();
            prop_assert!((grants.iter().sum::<f64>() - asked.min(budget)).abs() < 1e-6 * (1.0 + budget));
            prop_assert!(asks.iter().zip(&grants).all(|((_, ask), grant)| grant <= ask));
        }
    }
}
