//! A small shop: its services and what each of them does.

/// A service.
#[derive(Debug)]
pub(super) struct Service {
    pub name: &'static str,
    pub language: &'static str,
    pub scope: &'static str,
    pub operations: &'static [Operation],
}

/// Something that a service does, as a span names it.
#[derive(Debug)]
pub(super) enum Operation {
    Http { method: &'static str, route: &'static str },
    Rpc { service: &'static str, method: &'static str },
    Sql { verb: &'static str, table: &'static str },
    Queue { verb: &'static str, topic: &'static str },
}

use Operation::{Http, Queue, Rpc, Sql};

pub(super) const SERVICES: &[Service] = &[
    Service {
        name: "frontend",
        language: "nodejs",
        scope: "@opentelemetry/instrumentation-http",
        operations: &[
            Http { method: "GET", route: "/" },
            Http { method: "GET", route: "/products/{id}" },
            Http { method: "POST", route: "/cart" },
            Rpc { service: "shop.Checkout", method: "PlaceOrder" },
        ],
    },
    Service {
        name: "checkout",
        language: "go",
        scope: "go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc",
        operations: &[
            Rpc { service: "shop.Checkout", method: "PlaceOrder" },
            Rpc { service: "shop.Payment", method: "Charge" },
            Sql { verb: "INSERT", table: "orders" },
            Queue { verb: "publish", topic: "orders" },
        ],
    },
    Service {
        name: "payment",
        language: "java",
        scope: "io.opentelemetry.spring-webmvc-6.0",
        operations: &[
            Rpc { service: "shop.Payment", method: "Charge" },
            Http { method: "POST", route: "/v1/charges" },
            Sql { verb: "UPDATE", table: "payments" },
        ],
    },
    Service {
        name: "accounts",
        language: "python",
        scope: "opentelemetry.instrumentation.fastapi",
        operations: &[
            Http { method: "GET", route: "/users/{id}" },
            Http { method: "PATCH", route: "/users/{id}/addresses" },
            Sql { verb: "SELECT", table: "users" },
        ],
    },
    Service {
        name: "shipping",
        language: "dotnet",
        scope: "OpenTelemetry.Instrumentation.AspNetCore",
        operations: &[
            Queue { verb: "process", topic: "orders" },
            Http { method: "GET", route: "/quotes" },
            Sql { verb: "SELECT", table: "parcels" },
        ],
    },
];
