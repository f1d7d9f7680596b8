//! All items, a file for each group of them.

mod data;
mod grpc_answers;
mod grpc_calls;
mod grpc_sizes;
mod http_answers;
mod http_connections;
mod http_sizes;
mod json_forms;
mod json_values;
mod overload;
mod partial;
mod signals;

use crate::item::Item;

/// In the order of the table.
pub fn all() -> impl Iterator<Item = &'static Item> {
    let groups: [&'static [Item]; 12] = [
        grpc_answers::ITEMS,
        grpc_sizes::ITEMS,
        grpc_calls::ITEMS,
        http_answers::ITEMS,
        http_sizes::ITEMS,
        http_connections::ITEMS,
        overload::ITEMS,
        partial::ITEMS,
        json_values::ITEMS,
        json_forms::ITEMS,
        data::ITEMS,
        signals::ITEMS,
    ];
    groups.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::all;
    use crate::known::KNOWN_FAILURES;
    use std::collections::BTreeSet;

    #[test]
    fn the_whole_list_is_there_and_each_id_once() {
        let ids: Vec<_> = all().map(|item| item.id).collect();
        let each: BTreeSet<_> = ids.iter().copied().collect();
        assert_eq!(ids.len(), each.len());
        for (letter, last) in [("G", 18), ("H", 20), ("J", 14), ("D", 5), ("S", 5)] {
            let missing: Vec<_> = (1..=last).filter(|at| !each.contains(&format!("{letter}{at}")[..])).collect();
            assert!(missing.is_empty(), "{letter}: {missing:?}");
        }
        assert!(KNOWN_FAILURES.iter().all(|(id, _)| each.contains(id)));
    }
}
