//! The section `plugins.signatures`: the keys that may sign plugins. With the section every plugin has to be signed.

use std::path::Path;

use crate::config::table::Table;
use crate::config::yaml::{Node, Value};
use crate::plugins::signature::{Key, Keys};

/// The keys; none without the section.
pub(super) fn read(table: &mut Table<'_>) -> Keys {
    let is_there = table.has("signatures");
    table.section("signatures", |table| {
        let written = keys(table, "keys", Key::read);
        let of_files = keys(table, "key_files", |file| Key::of_file(Path::new(file)));
        // An empty list must pass neither for one that trusts nobody nor for none, which trusts all.
        if is_there && written.is_empty() && of_files.is_empty() {
            table.refuse_whole("needs a key: in `keys`, or its file in `key_files`");
        }
        written.into_iter().chain(of_files).flatten().collect()
    })
}

/// The keys of a list, each `None` where it is none; every error has its own line.
fn keys(table: &mut Table<'_>, name: &'static str, read: impl Fn(&str) -> Result<Key, String>) -> Vec<Option<Key>> {
    let items = table.items(name);
    let refuse = |node: &Node, why: String| table.problems().note(node.at, &table.path_of(name), node.masked(why));
    let one = |node: &Node| {
        let Value::Text(text) = &node.value else {
            refuse(node, format!("must be a text, not {}", node.kind()));
            return None;
        };
        read(text).map_err(|why| refuse(node, format!("\"{text}\" {why}"))).ok()
    };
    items.iter().map(one).collect()
}
