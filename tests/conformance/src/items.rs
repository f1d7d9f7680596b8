//! All items, a file for each group of them.

mod client;
mod client_requests;
mod client_retries;
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
mod sampler;
mod sampling_rules;
mod sampling_values;
mod signals;

use crate::item::Item;

/// Groups in the order of the table.
pub const GROUPS: [(char, &str); 7] = [
    ('G', "gRPC server"),
    ('H', "HTTP server"),
    ('J', "JSON"),
    ('D', "data that a proxy must leave alone"),
    ('S', "metrics and logs"),
    ('E', "client of the next server"),
    ('P', "probability sampling"),
];

/// In the order of the table.
pub fn all() -> Vec<&'static Item> {
    let lists: [&'static [Item]; 16] = [
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
        client_retries::ITEMS,
        client_requests::ITEMS,
        sampling_values::ITEMS,
        sampling_rules::ITEMS,
    ];
    let mut items: Vec<_> = lists.into_iter().flatten().collect();
    let group = |item: &Item| GROUPS.iter().position(|(letter, _)| item.id.starts_with(*letter));
    items.sort_by_key(|item| (group(item), item.id[1..].parse::<u32>().ok()));
    items
}

#[cfg(test)]
mod tests {
    use super::all;
    use crate::known::KNOWN_FAILURES;
    use std::collections::BTreeSet;

    #[test]
    fn the_whole_list_is_there_and_each_id_once() {
        let ids: Vec<_> = all().iter().map(|item| item.id).collect();
        let each: BTreeSet<_> = ids.iter().copied().collect();
        assert_eq!(ids.len(), each.len());
        for (letter, last) in [("G", 18), ("H", 20), ("J", 14), ("D", 5), ("S", 5), ("E", 10), ("P", 14)] {
            let missing: Vec<_> = (1..=last).filter(|at| !each.contains(&format!("{letter}{at}")[..])).collect();
            assert!(missing.is_empty(), "{letter}: {missing:?}");
        }
        assert!(KNOWN_FAILURES.iter().all(|(id, _)| each.contains(id)));
    }
}
