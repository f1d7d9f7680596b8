//! Databases that another program wrote: see `tests/tables/make.py`.

use std::collections::BTreeSet;

use super::*;

const PLACES: &[u8] = include_bytes!("../../../tests/tables/places.mmdb");
const IPV4: &[u8] = include_bytes!("../../../tests/tables/ipv4.mmdb");

fn of(content: &[u8]) -> Mmdb {
    read(content.to_vec()).expect("a database")
}

/// A field of an address; `None` where no record has such a field.
fn value(table: &Mmdb, key: &str, field: &str) -> Option<String> {
    let rows = table.find(&mut std::iter::once(key.as_bytes()));
    let value = rows.values(field, Layout::Words)?.next().expect("a row");
    Some(match value {
        Some(Value::Text(text)) => String::from_utf8(text.to_vec()).expect("UTF-8"),
        Some(other) => format!("{other:?}"),
        None => "-".to_owned(),
    })
}

#[test]
fn addresses_of_both_kinds_are_found_by_their_network() {
    let table = of(PLACES);
    let code = |key: &str| value(&table, key, "country.iso_code").expect("a field");
    let found = ["192.0.2.0", "192.0.2.255", "198.51.100.127", "2001:db8:0:1::7", "::ffff:192.0.2.9"].map(code);
    assert_eq!(found, ["NN", "NN", "SS", "SS", "NN"]);
    for key in
        ["192.0.3.0", "198.51.100.128", "2001:db9::", "", "gateway.example", "192.0.2.1:80", "192.0.2", "\u{fffd}"]
    {
        assert_eq!(code(key), "-", "{key}");
    }
    assert_eq!((table.entries(), table.bytes()), (3, PLACES.len() as u64));
    let rows = table.find(&mut [&b"192.0.2.1"[..], b"x", b"2001:db8::1", b"\xff"].into_iter());
    assert_eq!(rows.found(), 2);
}

#[test]
fn fields_are_dotted_paths_and_keep_their_types() {
    let table = of(PLACES);
    for (field, expected) in [
        ("country.names.de", "Northland (de)"),
        ("traits.is_anycast", "Boolean(true)"),
        ("traits.asn", "Integer(64500)"),
        ("traits.offset", "Integer(-7)"),
        ("traits.large", "Float(9.223372036854776e18)"),
        ("traits.huge", "Empty"),
        ("location.latitude", "Float(60.25)"),
        ("subdivisions.1.iso_code", "N2"),
        ("subdivisions", "Empty"),
        ("country", "Empty"),
        ("raw", "Bytes([0, 255])"),
    ] {
        assert_eq!(value(&table, "192.0.2.1", field).as_deref(), Some(expected), "{field}");
    }
    assert_eq!(value(&table, "2001:db8::1", "traits.asn").as_deref(), Some("-"), "another record has it");
    for field in ["country.isocode", "iso_code", "country.iso_code.x", "subdivisions.2", "", "."] {
        assert_eq!(value(&table, "192.0.2.1", field), None, "{field}");
    }
}

#[test]
fn all_names_are_gathered() {
    let table = of(IPV4);
    let fields: BTreeSet<&str> = table.fields.as_ref().expect("few").iter().map(String::as_str).collect();
    let expected = ["country", "country.iso_code", "country.names", "country.names.de", "country.names.en"];
    assert_eq!(fields, BTreeSet::from(expected));
}

#[test]
fn ipv6_in_a_database_of_ipv4_is_not_found() {
    let table = of(IPV4);
    let code = |key: &str| value(&table, key, "country.iso_code").expect("a field");
    assert_eq!(["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"].map(code), ["SS", "-", "SS"]);
}

#[test]
fn what_is_no_database_or_not_whole_is_refused_and_ends_nothing() {
    for content in [&b""[..], b"service,team\ncart,shop\n", &PLACES[..100], &PLACES[PLACES.len() / 2..]] {
        assert!(read(content.to_vec()).is_err(), "{} bytes", content.len());
    }
    let mut refused = 0;
    for at in 0..PLACES.len() {
        let mut damaged = PLACES.to_vec();
        damaged[at] ^= 0x80;
        match read(damaged) {
            Ok(table) => {
                // What is wrong now is only what it says.
                for key in ["192.0.2.1", "198.51.100.1", "2001:db8::1", "10.0.0.1"] {
                    value(&table, key, "country.iso_code");
                }
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > PLACES.len() / 4, "{refused} of {} damages were noticed", PLACES.len());
}
