//! The section `receive.http.cors`: which web pages may send spans.

use std::time::Duration;

use pipeline::receive::Cors;

use super::export::headers::name_of as header_name;
use super::table::Table;

const HOUR: Duration = Duration::from_hours(1);

/// `None` where there is no such section.
pub(super) fn read(table: &mut Table<'_>) -> Option<Cors> {
    let is_there = table.has("cors");
    let cors = table.section("cors", |table| {
        let mut origins = Vec::new();
        for text in table.texts("origins") {
            match text.parse() {
                Ok(origin) => origins.push(origin),
                Err(error) => table.refuse("origins", format!("\"{text}\" is not valid here: {error}")),
            }
        }
        if is_there && !table.has("origins") {
            table.refuse("origins", "is needed: without it no page may send");
        }
        let headers = table.texts("headers").iter().filter_map(|name| header_name(table, "headers", name)).collect();
        let max_age = table.duration("max_age", Duration::ZERO..=24 * HOUR).unwrap_or(2 * HOUR);
        Cors { origins, headers, max_age }
    });
    is_there.then_some(cors)
}
