//! Whether entries may be rewritten or removed. Judged by place, and once for each place.

use crate::columns::{Cells, Entries};
use crate::edit::permissions::Permissions;
use crate::path::Path;
use crate::shown::Shown;

use super::fault::EditFault;

/// What becomes of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Rewrite,
    Remove,
}

pub(super) fn check(
    shown: &Shown,
    permissions: &Permissions,
    column: u32,
    entries: &[u32],
    what: Use,
) -> Result<(), EditFault> {
    let columns = shown.columns.len();
    let locators = shown.locators.get(column as usize).and_then(Option::as_ref);
    let cells = shown.columns.get(column as usize).map(|column| &column.cells);
    let (Some(Cells::Entries(table)), Some(locators)) = (cells, locators) else {
        return Err(EditFault::NotEntries { column, columns });
    };
    let whole = permissions.may_write(&locators.path);
    let mut judged = vec![false; table.places.words.len()];
    for &entry in entries {
        let Some(&code) = table.places.codes.get(entry as usize) else {
            return Err(EditFault::EntryOutOfRange { entry, column, entries: table.places.codes.len() });
        };
        if !judged[code as usize] {
            let place = place_of(table, code);
            judge(&place, &locators.path, whole, permissions, entry, what)?;
            judged[code as usize] = true;
        }
    }
    Ok(())
}

/// The row of each of these entries, and whether other rows may share it.
pub(super) fn rows_of<'s>(shown: &'s Shown, column: u32, entries: &'s [u32]) -> impl Iterator<Item = (u32, bool)> + 's {
    let cells = shown.columns.get(column as usize).map(|column| &column.cells);
    let table = if let Some(Cells::Entries(table)) = cells { Some(table) } else { None };
    entries.iter().filter_map(move |&entry| {
        let table = table?;
        let code = *table.places.codes.get(entry as usize)?;
        let place = table.places.words.get(code as usize)?;
        let is_shared = place.starts_with(b"resource.") || place.starts_with(b"scope.");
        Some((*table.rows.get(entry as usize)?, is_shared))
    })
}

fn place_of(table: &Entries, code: u32) -> String {
    String::from_utf8_lossy(table.places.words.get(code as usize).unwrap_or_default()).into_owned()
}

fn judge(
    place: &str,
    column: &Path,
    whole: bool,
    permissions: &Permissions,
    entry: u32,
    what: Use,
) -> Result<(), EditFault> {
    let place = || place.to_owned();
    match (what, &*place()) {
        (Use::Rewrite, "links.trace_id" | "links.span_id" | "events.time_unix_nano") => {
            return Err(EditFault::TakesNoText { entry, place: place() });
        }
        (Use::Remove, "links.span_id") => return Err(EditFault::CannotBeRemoved { entry, place: place() }),
        (Use::Remove, "links.trace_id") if *column != Path::Links => {
            return Err(EditFault::CannotBeRemoved { entry, place: place() });
        }
        _ => {}
    }
    let granted = whole
        || match &*place() {
            "events.time_unix_nano" => permissions.may_write(&Path::Events),
            "links.trace_id" | "links.trace_state" => permissions.may_write(&Path::Links),
            text => outermost(text).is_some_and(|path| permissions.may_write(&path)),
        };
    if granted { Ok(()) } else { Err(EditFault::MayNotWriteEntry { entry, place: place() }) }
}

/// The path of a place, without the keys of nested maps.
pub(super) fn outermost(place: &str) -> Option<Path> {
    let Some(key) = place.find("[\"") else { return place.parse().ok() };
    let mut escaped = false;
    let end = place[key + 2..].find(|c: char| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    place[..(key + 2 + end + 2).min(place.len())].parse().ok()
}
