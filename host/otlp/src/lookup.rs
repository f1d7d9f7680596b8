//! The value of one place in one row, for those in the host who want to read a few of them: no columns, nothing kept.

use crate::batch::Batch;
use crate::find::{self, Key, Source};
use crate::path::Path;
use crate::value::Value;

/// The value of `path` in a row. `None` where the row has none, and for ids and for paths that stand for many places.
#[inline]
#[must_use]
pub fn value<'b>(batch: &'b Batch, row: u32, path: &Path) -> Option<Value<'b>> {
    let span = &batch.spans()[row as usize];
    match Source::of(path)? {
        Source::Text(part) => find::own_text(batch, part(span)),
        Source::Number(number) => Some(Value::Integer(number(batch, span))),
        Source::Attribute(key) => find::attribute(batch, span.attributes, &key),
        Source::Shared(shared) => shared.get(batch, span.scope),
        Source::Request(field) => field.get(&batch.requests()[span.request as usize].context),
        Source::Id(..) => None,
    }
}

/// An attribute of a row's span.
#[inline]
#[must_use]
pub fn attribute<'b>(batch: &'b Batch, row: u32, key: &str) -> Option<Value<'b>> {
    find::attribute(batch, batch.spans()[row as usize].attributes, &Key::new(key))
}

/// Whether all spans of a scope have the same value of this path, so that it has to be looked up once for them.
#[must_use]
pub fn is_shared(path: &Path) -> bool {
    matches!(Source::of(path), Some(Source::Shared(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::RequestContext;
    use crate::fixture;

    #[test]
    fn a_place_reads_as_it_is() {
        let context = RequestContext { tenant: Some("blue".into()), ..RequestContext::default() };
        let span = fixture::span(7, vec![("http.route", fixture::text("/cart"))]);
        let resource = vec![("service.name", fixture::text("shop"))];
        let batch = fixture::batch(vec![(context, vec![fixture::resource_spans(resource, "lib", vec![span])])]);
        let read = |path: &str| value(&batch, 0, &path.parse().unwrap());
        assert_eq!(read("attributes[\"http.route\"]"), Some(Value::Text(b"/cart")));
        assert_eq!(read("resource.attributes[\"service.name\"]"), Some(Value::Text(b"shop")));
        assert_eq!(read("resource.attributes[\"http.route\"]"), None);
        assert_eq!(read("scope.name"), Some(Value::Text(b"lib")));
        assert_eq!(read("name"), Some(Value::Text(b"span 7")));
        assert_eq!(read("kind"), Some(Value::Integer(0)));
        assert_eq!(read("request.tenant"), Some(Value::Text(b"blue")));
        assert_eq!(read("attributes"), None);
        assert_eq!(attribute(&batch, 0, "http.route"), Some(Value::Text(b"/cart")));
    }
}
