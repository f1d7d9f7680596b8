//! Writing and removing one value at one place. Shared resources and scopes are copied for the row that is written.

use super::allows;
use crate::bindings::types::Mode;
use crate::testing::model::{Attrs, Batch, Data, Leaf, ResourceRecord, ScopeRecord};
use crate::testing::place::{self, Field, Owner, Place};
use crate::testing::sampling;

/// True if the place can take the value.
pub(super) fn fits(place: &Place, data: &Data) -> bool {
    match place {
        Place::Field(Field::Kind | Field::StatusCode) => {
            matches!(data, Data::Integer(number) if i32::try_from(*number).is_ok())
        }
        Place::Field(Field::StartTime | Field::EndTime) => matches!(data, Data::Integer(_)),
        Place::Field(_) | Place::EventsName => matches!(data, Data::Text(_)),
        _ => true,
    }
}

/// Writes a value. False where the mode forbids it or the place cannot take it.
pub(super) fn write(batch: &mut Batch, row: usize, place: &Place, data: Data, mode: Mode) -> bool {
    if !fits(place, &data) {
        return false;
    }
    match place {
        Place::EventsName => {
            for event in &mut batch.rows[row].events {
                put(&mut event.name, &data, mode);
            }
            return true;
        }
        Place::EventsAttribute(key) => {
            let mut any = false;
            for event in &mut batch.rows[row].events {
                any |= put_attribute(&mut event.attributes, key, &data, mode);
            }
            return any;
        }
        Place::LinksAttribute(key) => {
            let mut any = false;
            for link in &mut batch.rows[row].links {
                any |= put_attribute(&mut link.attributes, key, &data, mode);
            }
            return any;
        }
        Place::Attribute(owner, key) => {
            let there = place::read(batch, &batch.rows[row], place).is_some();
            return allows(mode, there) && put_attribute(attributes_mut(batch, row, *owner), key, &data, mode);
        }
        _ => {}
    }
    let is_there = place::read(batch, &batch.rows[row], place).is_some();
    if !allows(mode, is_there) {
        return false;
    }
    set_field(batch, row, place, data);
    true
}

/// Removes the value at a place; a field becomes empty. Every occurrence of a repeated key goes.
pub(super) fn remove(batch: &mut Batch, row: usize, place: &Place) {
    match place {
        Place::Attribute(owner, key) => {
            if place::read(batch, &batch.rows[row], place).is_some() {
                attributes_mut(batch, row, *owner).retain(|(known, _)| known != key);
            }
        }
        Place::EventsAttribute(key) => {
            batch.rows[row].events.iter_mut().for_each(|event| event.attributes.retain(|(known, _)| known != key));
        }
        Place::LinksAttribute(key) => {
            batch.rows[row].links.iter_mut().for_each(|link| link.attributes.retain(|(known, _)| known != key));
        }
        Place::EventsName => batch.rows[row].events.clear(),
        Place::Field(Field::Kind | Field::StatusCode | Field::StartTime | Field::EndTime) => {
            set_field(batch, row, place, Data::Integer(0));
        }
        _ => {
            if place::read(batch, &batch.rows[row], place).is_some() {
                set_field(batch, row, place, Data::Text(String::new()));
            }
        }
    }
}

fn set_field(batch: &mut Batch, row: usize, place: &Place, data: Data) {
    let Place::Field(field) = place else { unreachable!("attributes are written elsewhere") };
    let leaf = match field {
        Field::Name => &mut batch.rows[row].name,
        Field::StatusMessage => &mut batch.rows[row].message,
        Field::TraceState => {
            let leaf = &mut batch.rows[row].trace_state;
            let state = with_ot_of(leaf.text(), Leaf::new(data).text());
            *leaf = Leaf::new(Data::Text(state));
            return;
        }
        Field::ResourceSchema => &mut own_resource(batch, row).schema_url,
        Field::ScopeName => &mut own_scope(batch, row).name,
        Field::ScopeVersion => &mut own_scope(batch, row).version,
        Field::ScopeSchema => &mut own_scope(batch, row).schema_url,
        _ => {
            let Data::Integer(number) = data else { unreachable!("the other fields are numbers") };
            let record = &mut batch.rows[row];
            match field {
                Field::Kind => record.kind = number,
                Field::StatusCode => record.code = number,
                Field::StartTime => record.start = number.cast_unsigned(),
                Field::EndTime => record.end = number.cast_unsigned(),
                _ => unreachable!("the plan's writes are checked"),
            }
            return;
        }
    };
    *leaf = Leaf::new(data);
}

/// A new trace state with the old one's `ot` entry, which belongs to the host.
fn with_ot_of(old: &str, new: &str) -> String {
    let new = new.split(',').map(str::trim).filter(|entry| !entry.is_empty() && !entry.starts_with("ot="));
    let ot = sampling::ot_entry(old);
    let ot = (!ot.is_empty()).then_some(ot);
    ot.into_iter().chain(new).collect::<Vec<_>>().join(",")
}

fn put(leaf: &mut Leaf, data: &Data, mode: Mode) {
    if allows(mode, !leaf.text().is_empty()) {
        *leaf = Leaf::new(data.clone());
    }
}

fn put_attribute(attributes: &mut Attrs, key: &str, data: &Data, mode: Mode) -> bool {
    let mut is_there = false;
    for (_, leaf) in attributes.iter_mut().filter(|(known, _)| known == key) {
        is_there = true;
        if allows(mode, true) {
            *leaf = Leaf::new(data.clone());
        }
    }
    if !is_there && allows(mode, false) {
        attributes.push((key.to_owned(), Leaf::new(data.clone())));
    }
    allows(mode, is_there)
}

fn attributes_mut(batch: &mut Batch, row: usize, owner: Owner) -> &mut Attrs {
    match owner {
        Owner::Span => &mut batch.rows[row].attributes,
        Owner::Resource => &mut own_resource(batch, row).attributes,
        Owner::Scope => &mut own_scope(batch, row).attributes,
    }
}

/// The row's resource, copied first if other rows share it.
fn own_resource(batch: &mut Batch, row: usize) -> &mut ResourceRecord {
    let mut index = batch.rows[row].resource;
    if batch.rows.iter().filter(|other| other.resource == index).count() > 1 {
        batch.resources.push(batch.resources[index].clone());
        index = batch.resources.len() - 1;
        batch.rows[row].resource = index;
    }
    &mut batch.resources[index]
}

/// The row's scope, copied first if other rows share it.
fn own_scope(batch: &mut Batch, row: usize) -> &mut ScopeRecord {
    let mut index = batch.rows[row].scope;
    if batch.rows.iter().filter(|other| other.scope == index).count() > 1 {
        batch.scopes.push(batch.scopes[index].clone());
        index = batch.scopes.len() - 1;
        batch.rows[row].scope = index;
    }
    &mut batch.scopes[index]
}
