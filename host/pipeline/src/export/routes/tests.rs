//! Requests shared out by what their resources say and by what came with them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use otlp::batch::RequestContext;
use otlp::condition::{Condition, Operator};
use otlp::edit::Constant;
use otlp::path::Path;
use prost::Message as _;

use super::*;

fn resource(service: &str, spans: usize) -> ResourceSpans {
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue(service.into())) });
    let attributes = vec![KeyValue { key: "service.name".into(), value, ..KeyValue::default() }];
    let span = |at: usize| Span { span_id: (at as u64 + 1).to_be_bytes().to_vec(), ..Span::default() };
    let scope = ScopeSpans { spans: (0..spans).map(span).collect(), ..ScopeSpans::default() };
    ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![scope],
        schema_url: format!("https://schemas/{service}"),
    }
}

/// A request of services with so many spans each, from a tenant.
fn parcel(services: &[(&str, usize)], tenant: &str) -> Parcel {
    let resource_spans = services.iter().map(|(service, spans)| resource(service, *spans)).collect();
    let context = RequestContext {
        tenant: (!tenant.is_empty()).then(|| tenant.into()),
        headers: vec![("x-team".into(), format!("{tenant}-team").into())],
        ..RequestContext::default()
    };
    Parcel {
        signal: Signal::Traces,
        body: ExportTraceServiceRequest { resource_spans }.encode_to_vec().into(),
        items: services.iter().map(|(_, spans)| *spans as u32).sum(),
        context: Arc::new(context),
        custody: None,
    }
}

fn condition(path: &str, operator: Operator, value: &str, negated: bool) -> Condition {
    let path: Path = path.parse().unwrap();
    Condition { path, operator, values: vec![Constant::Text(value.into())], negated }
}

fn when(path: &str, value: &str) -> When {
    When::Any(vec![vec![condition(path, Operator::Equals, value, false)]])
}

const SERVICE: &str = "resource.attributes[\"service.name\"]";

fn routes(whens: &[Option<When>]) -> Routes {
    Routes::new(whens.iter().map(Option::as_ref)).unwrap().expect("some are conditional")
}

/// The services that each destination gets, with their spans, and how many spans nobody gets.
fn shared(whens: &[Option<When>], parcel: &Parcel) -> (Vec<Vec<(String, usize)>>, u32) {
    let shares = routes(whens).share(parcel);
    let services = |share: &Option<(Bytes, u32)>| {
        let Some((body, spans)) = share else { return Vec::new() };
        let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
        let one = |resource: &ResourceSpans| {
            let service = resource.schema_url.rsplit('/').next().unwrap().to_owned();
            (service, resource.scope_spans.iter().map(|scope| scope.spans.len()).sum())
        };
        let services: Vec<(String, usize)> = request.resource_spans.iter().map(one).collect();
        assert_eq!(services.iter().map(|(_, spans)| *spans).sum::<usize>(), *spans as usize);
        services
    };
    (shares.each.iter().map(services).collect(), shares.unrouted)
}

fn named(services: &[(&str, usize)]) -> Vec<(String, usize)> {
    services.iter().map(|(service, spans)| ((*service).to_owned(), *spans)).collect()
}

#[test]
fn without_conditions_there_is_nothing_to_share_out() {
    assert!(Routes::new([None, None].into_iter()).unwrap().is_none());
    assert!(Routes::new(std::iter::empty()).unwrap().is_none());
}

#[test]
fn resources_of_one_request_go_where_they_match_and_the_rest_where_nothing_else_does() {
    let parcel = parcel(&[("shop", 3), ("bank", 2), ("mail", 5), ("shop", 1)], "");
    let whens = [None, Some(when(SERVICE, "shop")), Some(when(SERVICE, "bank")), Some(When::Otherwise)];
    let (each, unrouted) = shared(&whens, &parcel);
    assert_eq!(each[0], named(&[("shop", 3), ("bank", 2), ("mail", 5), ("shop", 1)]));
    assert_eq!(each[1], named(&[("shop", 3), ("shop", 1)]));
    assert_eq!((&each[2], &each[3]), (&named(&[("bank", 2)]), &named(&[("mail", 5)])));
    assert_eq!(unrouted, 0);
}

#[test]
fn what_no_destination_takes_is_counted() {
    let parcel = parcel(&[("shop", 3), ("bank", 2), ("mail", 5)], "");
    let (each, unrouted) = shared(&[Some(when(SERVICE, "shop")), Some(when(SERVICE, "none"))], &parcel);
    assert_eq!((each, unrouted), (vec![named(&[("shop", 3)]), Vec::new()], 7));
    // Where somebody gets everything, nothing is left over.
    assert_eq!(shared(&[Some(when(SERVICE, "none")), None], &parcel).1, 0);
}

#[test]
fn tenants_and_headers_decide_for_a_whole_request_which_is_not_copied() {
    let parcel = parcel(&[("shop", 3), ("bank", 2)], "blue");
    let schema = Some(When::Any(vec![vec![condition("resource.schema_url", Operator::Prefix, "https://", false)]]));
    let whens = [
        Some(when("request.tenant", "blue")),
        Some(when("request.header[\"x-team\"]", "blue-team")),
        schema,
        Some(when("request.tenant", "red")),
    ];
    let shares = routes(&whens).share(&parcel);
    for share in &shares.each[..3] {
        let (body, spans) = share.as_ref().unwrap();
        assert_eq!((body.as_ptr(), *spans), (parcel.body.as_ptr(), 5));
    }
    assert_eq!((&shares.each[3], shares.unrouted), (&None, 0));
}

#[test]
fn any_list_suffices_and_wants_all_of_its_conditions() {
    let any = When::Any(vec![
        vec![
            condition(SERVICE, Operator::Prefix, "sh", false),
            condition("request.tenant", Operator::Equals, "blue", true),
        ],
        vec![condition(SERVICE, Operator::Equals, "bank", false)],
    ]);
    let services = [("shop", 1), ("bank", 2), ("mail", 4)];
    let (red, _) = shared(&[Some(any.clone())], &parcel(&services, "red"));
    assert_eq!(red[0], named(&[("shop", 1), ("bank", 2)]));
    let (blue, unrouted) = shared(&[Some(any)], &parcel(&services, "blue"));
    assert_eq!((&blue[0], unrouted), (&named(&[("bank", 2)]), 5));
}

#[test]
fn many_small_resources_are_judged_like_few_large_ones() {
    let services: Vec<(&str, usize)> = (0..5000).map(|at| (if at % 7 == 0 { "shop" } else { "mail" }, 1)).collect();
    let parcel = parcel(&services, "");
    let shares = routes(&[Some(when(SERVICE, "shop")), Some(When::Otherwise)]).share(&parcel);
    let spans: Vec<u32> = shares.each.iter().map(|share| share.as_ref().unwrap().1).collect();
    assert_eq!((spans, shares.unrouted), (vec![715, 4285], 0));
}

#[test]
fn what_is_unknown_goes_along_byte_for_byte() {
    let (shop, bank) = (resource("shop", 1).encode_to_vec(), resource("bank", 1).encode_to_vec());
    let mut shop_unknown = shop.clone();
    put_bytes(&mut shop_unknown, 70, b"in the resource spans");
    let mut body = Vec::new();
    put_bytes(&mut body, 71, b"in the request");
    put_bytes(&mut body, 1, &shop_unknown);
    put_bytes(&mut body, 1, &bank);
    let mut expected = Vec::new();
    put_bytes(&mut expected, 71, b"in the request");
    put_bytes(&mut expected, 1, &shop_unknown);
    let parcel = Parcel { signal: Signal::Traces, body: body.into(), items: 2, context: Arc::default(), custody: None };
    let shares = routes(&[Some(when(SERVICE, "shop")), None]).share(&parcel);
    assert_eq!(shares.each[0], Some((expected.into(), 1)));
}

#[test]
fn a_resource_that_came_without_attributes_matches_only_what_is_turned_around() {
    let request =
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource: None, ..resource("", 2) }] };
    let parcel = Parcel {
        signal: Signal::Traces,
        body: request.encode_to_vec().into(),
        items: 2,
        context: Arc::default(),
        custody: None,
    };
    let not_shop = Some(When::Any(vec![vec![condition(SERVICE, Operator::Equals, "shop", true)]]));
    let shares = routes(&[Some(when(SERVICE, "shop")), not_shop]).share(&parcel);
    assert_eq!((shares.each[0].is_none(), shares.each[1].is_some(), shares.unrouted), (true, true, 0));
}

#[test]
fn conditions_are_about_whole_resources() {
    for path in ["name", "attributes[\"http.route\"]", "scope.name", "request.peer", "strings", "resource.attributes"] {
        let error = check_when(&[vec![condition(path, Operator::Equals, "x", false)]]).unwrap_err().to_string();
        assert!(error.contains(&format!("`{path}`")) && error.contains("request.header"), "{error}");
    }
    let pattern = condition(SERVICE, Operator::Matches, "(", false);
    assert!(matches!(check_when(&[vec![pattern]]), Err(WhenError::Condition(_))));
}
