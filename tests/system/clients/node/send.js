// Sends one scenario with the OpenTelemetry SDK for Node and prints what it sent as one line of JSON.
//
// The protocol and the endpoint come from the SDK's own OTEL_* variables. TRACEPARENT, if set, is the W3C parent of the
// traces that it starts, so that one trace can cross SDKs. See ../README.md for the shape of the scenario.
'use strict';
const { NodeSDK } = require('@opentelemetry/sdk-node');
const { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } = require('@opentelemetry/api');

const sdk = new NodeSDK();
sdk.start();
const tracer = trace.getTracer('checkout', '1.4.0');
const sent = { service: process.env.OTEL_SERVICE_NAME, spans: [], health: [], traceparent: '' };

function span(name, options, parent, body) {
  const opened = tracer.startSpan(name, options, parent);
  const id = opened.spanContext();
  const above = trace.getSpanContext(parent);
  const row = { trace: id.traceId, span: id.spanId, parent: above ? above.spanId : '', name };
  body(opened, trace.setSpan(parent, opened), row);
  opened.end();
}

function order(parent) {
  const attributes = {
    'http.request.method': 'POST', 'http.route': '/orders/{id}', 'url.path': '/orders/4711',
    'url.full': 'https://shop.example/orders/4711?email=nina.holm@mail.example',
    'enduser.email': 'nina.holm@mail.example', 'retry.delays': [10, 20, 40],
  };
  span('POST /orders/{id}', { kind: SpanKind.SERVER, attributes }, parent, (root, inside, row) => {
    sent.spans.push(row);
    const carrier = {};
    propagation.inject(inside, carrier);
    sent.traceparent = carrier.traceparent;
    charge(inside);
    query(inside);
  });
}

function charge(parent) {
  const attributes = { 'rpc.system': 'grpc', 'payment.note': 'card 4111 1111 1111 1111 of nina.holm@mail.example' };
  span('payment.Charge', { kind: SpanKind.CLIENT, attributes }, parent, (opened, _inside, row) => {
    sent.spans.push(row);
    opened.recordException(new Error('declined for nina.holm@mail.example'));
    opened.setStatus({ code: SpanStatusCode.ERROR, message: 'declined for nina.holm@mail.example' });
  });
}

function query(parent) {
  const attributes = {
    'db.system.name': 'postgresql',
    'db.query.text': "SELECT * FROM users WHERE email = 'nina.holm@mail.example'",
  };
  span('SELECT users', { kind: SpanKind.CLIENT, attributes }, parent, (_opened, _inside, row) => sent.spans.push(row));
}

function healthCheck() {
  const attributes = { 'http.request.method': 'GET', 'http.route': '/healthz', 'url.path': '/healthz' };
  span('GET /healthz', { kind: SpanKind.SERVER, attributes }, ROOT_CONTEXT, (_opened, _inside, row) => sent.health.push(row));
}

const parent = propagation.extract(ROOT_CONTEXT, { traceparent: process.env.TRACEPARENT || '' });
context.with(parent, () => { order(parent); healthCheck(); });
sdk.shutdown().then(
  () => process.stdout.write(`${JSON.stringify(sent)}\n`),
  (error) => { console.error(error); process.exit(1); },
);
