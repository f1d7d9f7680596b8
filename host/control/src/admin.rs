//! The admin side, on a thread of its own with a runtime of its own: it answers while the data plane is busy, and a slow client
//! costs no span.
//!
//! | | |
//! | --- | --- |
//! | `GET /healthz` | 200 while the process runs |
//! | `GET /readyz` | 200 while spans are taken, else 503 with the reason |
//! | `GET /metrics` | `OpenMetrics` text |
//! | `GET /metrics/spans` | metrics of spans and the service graph, likewise; 404 where neither is configured |
//! | `GET /plugins` | the plugin folder as JSON: stages, what is tried, errors, versions, history |
//! | `POST /plugins/NAME/promote` | the version that is tried counts |
//! | `POST /plugins/NAME/rollback` | it is withdrawn, or the version before counts again |
//! | `GET /tables` | the lookup tables as JSON: files, sizes, errors |
//! | `GET /quarantine` | spans on which plugins failed, as JSON |
//! | `GET /quarantine/NUMBER` | one of them as an OTLP request (protobuf), to be sent again |
//! | `GET /status` | the whole proxy as JSON |
//! | `GET /` | the same as a page |
//!
//! Where credentials are asked for, the first two answer without any: who probes has none. What changes something is asked by POST with the
//! header `x-tracemill`, which no page of another origin can send, to an address or to a name that is the machine's own: a browser on the
//! operator's machine is not made to do it by what it shows.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::{MethodRouter, get, post};
use pipeline::auth::{Auth, Denied};
use pipeline::tls::server::Tls;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

mod change;
mod door;
mod trial;
pub mod view;

use crate::plugins::folder::command::Ask;
use crate::telemetry;
pub use change::HEADER;
use door::Door;
use view::View;

const PAGE: &str = include_str!("admin/page.html");

/// What it speaks over TLS.
pub const SPOKEN: &[&[u8]] = &[b"http/1.1"];

/// Who is let in, and how.
#[derive(Debug, Default)]
pub struct Guard {
    /// Over TLS, where that is set.
    pub tls: Option<Arc<Tls>>,
    /// Who shows credentials, where that is set.
    pub auth: Option<Arc<Auth>>,
}

/// The running admin side; ends when it is dropped.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    /// Serves `view` on a listener that is already bound.
    pub fn start(listener: TcpListener, guard: Guard, view: Arc<View>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let serve = move || {
            let outcome: io::Result<()> = runtime.block_on(async {
                let Guard { tls, auth } = guard;
                // Ends with this.
                let _following: JoinSet<()> = auth.iter().map(|auth| Arc::clone(auth).follow()).collect();
                let door = Door::new(tokio::net::TcpListener::from_std(listener)?, tls);
                let serve = axum::serve(door, router(view, auth));
                // Not gracefully: a scraper that keeps its connection must not hold up the end.
                tokio::select! {
                    served = async { serve.await } => served,
                    () = stopped.cancelled() => Ok(()),
                }
            });
            if let Err(error) = outcome {
                tracing::error!(%error, "the admin side has ended");
            }
        };
        let thread = std::thread::Builder::new().name("admin".into()).spawn(serve)?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn changes(ask: Ask, authenticated: bool) -> MethodRouter<Arc<View>> {
    post(move |view, name, headers| change::change(ask, authenticated, view, name, headers))
}

fn router(view: Arc<View>, auth: Option<Arc<Auth>>) -> Router {
    let mut guarded = Router::new()
        .route(
            "/",
            get(async || ([(header::CONTENT_SECURITY_POLICY, "default-src 'self' 'unsafe-inline'")], Html(PAGE))),
        )
        .route("/metrics", get(metrics))
        .route("/metrics/spans", get(span_metrics))
        .route("/plugins", get(async |State(view): State<Arc<View>>| Json(view.plugins())))
        .route("/plugins/{name}/promote", changes(Ask::Promote, auth.is_some()))
        .route("/plugins/{name}/rollback", changes(Ask::Rollback, auth.is_some()))
        .route("/tables", get(async |State(view): State<Arc<View>>| Json(view.tables())))
        .route("/quarantine", get(async |State(view): State<Arc<View>>| Json(view.quarantine())))
        .route("/quarantine/{number}", get(set_aside))
        .route("/status", get(async |State(view): State<Arc<View>>| Json(view.status())));
    if let Some(auth) = auth {
        guarded = guarded.route_layer(middleware::from_fn_with_state(auth, authenticate));
    }
    let open = Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready));
    open.merge(guarded).with_state(view)
}

async fn authenticate(State(auth): State<Arc<Auth>>, request: Request, next: Next) -> Response {
    let (code, text) = match auth.check(request.headers()).await {
        Ok(_) => return next.run(request).await,
        Err(Denied::Busy) => (StatusCode::SERVICE_UNAVAILABLE, "too many passwords are being checked\n"),
        Err(Denied::Missing | Denied::Wrong) => (StatusCode::UNAUTHORIZED, "credentials are needed\n"),
    };
    (code, [(header::WWW_AUTHENTICATE, auth.challenge())], text).into_response()
}

async fn ready(State(view): State<Arc<View>>) -> impl IntoResponse {
    match view.not_ready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
    }
}

async fn set_aside(State(view): State<Arc<View>>, Path(number): Path<u64>) -> Response {
    match view.set_aside(number) {
        Some(request) => ([(header::CONTENT_TYPE, "application/x-protobuf")], request).into_response(),
        None => (StatusCode::NOT_FOUND, "no such span is set aside (any more)\n").into_response(),
    }
}

async fn span_metrics(State(view): State<Arc<View>>) -> Response {
    match view.chains.span_metrics().text() {
        Some(text) => ([(header::CONTENT_TYPE, telemetry::OPEN_METRICS)], text).into_response(),
        None => (StatusCode::NOT_FOUND, "neither `span_metrics` nor `service_graph` is configured\n").into_response(),
    }
}

async fn metrics(State(view): State<Arc<View>>) -> impl IntoResponse {
    match telemetry::encode(&view.registry) {
        Ok((kind, text)) => (StatusCode::OK, [(header::CONTENT_TYPE, kind)], text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], format!("{error}\n")),
    }
}
