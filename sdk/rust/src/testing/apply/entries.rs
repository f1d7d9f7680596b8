//! Rewriting and removing entries, found again by the identity of their values wherever copies of them stand.

use std::collections::{HashMap, HashSet};

use crate::bindings::types;
use crate::layout::Texts;
use crate::testing::columns::{EntryOf, Slice};
use crate::testing::model::{Attrs, Batch, Data, Leaf};
use crate::testing::place;

pub(super) fn rewrite(
    batch: &mut Batch,
    slice: &Slice,
    writes: &[String],
    edit: &types::RewriteEntries,
) -> Result<(), String> {
    if edit.to.offsets.len() != edit.entries.len() + 1 {
        return Err(format!("{} texts for {} entries", edit.to.offsets.len(), edit.entries.len()));
    }
    let mut texts = HashMap::new();
    for (&number, text) in edit.entries.iter().zip(Texts::new(&edit.to).iter()) {
        let entry = entry(slice, edit.column, number, writes)?;
        if matches!(entry.place.as_str(), "events.time_unix_nano" | "links.trace_id" | "links.span_id") {
            return Err(format!("`{}` takes no text", entry.place));
        }
        texts.insert(entry.leaf, String::from_utf8_lossy(text.as_bytes()).into_owned());
    }
    every_leaf(batch, &mut |leaf| {
        if let Some(text) = texts.get(&leaf.id) {
            leaf.set_text(text);
        }
    });
    Ok(())
}

pub(super) fn remove(
    batch: &mut Batch,
    slice: &Slice,
    writes: &[String],
    edit: &types::RemoveEntries,
) -> Result<(), String> {
    let mut gone = HashSet::new();
    for &number in &edit.entries {
        gone.insert(entry(slice, edit.column, number, writes)?.leaf);
    }
    let empty = |leaf: &mut Leaf| {
        if gone.contains(&leaf.id) {
            *leaf = Leaf::new(Data::Text(String::new()));
        }
    };
    for row in batch.rows.iter_mut().filter(|row| row.dropped.is_none()) {
        [&mut row.name, &mut row.message, &mut row.trace_state].into_iter().for_each(empty);
        prune(&mut row.attributes, &gone);
        row.events.retain(|event| !gone.contains(&event.name.id));
        for event in &mut row.events {
            if gone.contains(&event.time.id) {
                event.time = Leaf::new(Data::Integer(0));
            }
            prune(&mut event.attributes, &gone);
        }
        row.links.retain(|link| !gone.contains(&link.trace_id.id));
        for link in &mut row.links {
            empty(&mut link.trace_state);
            prune(&mut link.attributes, &gone);
        }
    }
    for resource in &mut batch.resources {
        empty(&mut resource.schema_url);
        prune(&mut resource.attributes, &gone);
    }
    for scope in &mut batch.scopes {
        [&mut scope.name, &mut scope.version, &mut scope.schema_url].into_iter().for_each(empty);
        prune(&mut scope.attributes, &gone);
    }
    Ok(())
}

fn entry<'s>(slice: &'s Slice, column: u32, number: u32, writes: &[String]) -> Result<&'s EntryOf, String> {
    let entries = slice.entries.get(column as usize).ok_or_else(|| format!("there is no column {column}"))?;
    let entry = entries.get(number as usize).ok_or_else(|| format!("column {column} has no entry {number}"))?;
    if place::covers(writes, &entry.place) {
        Ok(entry)
    } else {
        Err(format!("the plan does not write `{}`", entry.place))
    }
}

/// Takes values out of attributes, nested ones too.
fn prune(attributes: &mut Attrs, gone: &HashSet<u32>) {
    attributes.retain_mut(|(_, leaf)| {
        !gone.contains(&leaf.id) && {
            prune_within(leaf, gone);
            true
        }
    });
}

fn prune_within(leaf: &mut Leaf, gone: &HashSet<u32>) {
    match &mut leaf.data {
        Data::Array(leaves) => leaves.retain_mut(|leaf| {
            !gone.contains(&leaf.id) && {
                prune_within(leaf, gone);
                true
            }
        }),
        Data::Map(map) => prune(map, gone),
        _ => {}
    }
}

fn every_leaf(batch: &mut Batch, act: &mut impl FnMut(&mut Leaf)) {
    for row in batch.rows.iter_mut().filter(|row| row.dropped.is_none()) {
        [&mut row.name, &mut row.message, &mut row.trace_state].into_iter().for_each(&mut *act);
        in_attributes(&mut row.attributes, act);
        for event in &mut row.events {
            act(&mut event.name);
            in_attributes(&mut event.attributes, act);
        }
        for link in &mut row.links {
            act(&mut link.trace_state);
            in_attributes(&mut link.attributes, act);
        }
    }
    for resource in &mut batch.resources {
        act(&mut resource.schema_url);
        in_attributes(&mut resource.attributes, act);
    }
    for scope in &mut batch.scopes {
        [&mut scope.name, &mut scope.version, &mut scope.schema_url].into_iter().for_each(&mut *act);
        in_attributes(&mut scope.attributes, act);
    }
}

fn in_attributes(attributes: &mut Attrs, act: &mut impl FnMut(&mut Leaf)) {
    for (_, leaf) in attributes {
        in_leaf(leaf, act);
    }
}

fn in_leaf(leaf: &mut Leaf, act: &mut impl FnMut(&mut Leaf)) {
    act(leaf);
    match &mut leaf.data {
        Data::Array(leaves) => leaves.iter_mut().for_each(|leaf| in_leaf(leaf, act)),
        Data::Map(map) => in_attributes(map, act),
        _ => {}
    }
}
