// A web page that sends traces with the OpenTelemetry SDK for browsers; `report` and `endpoint` come from open.js.
import { ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, WebTracerProvider } from '@opentelemetry/sdk-trace-web';

const BETWEEN_TRACES_MS = 20;
const SUCCESS = 0;
let ended = 0;

class Watched extends OTLPTraceExporter {
  export(spans, done) {
    const ids = spans.map((span) => `${span.spanContext().traceId}-${span.spanContext().spanId}`);
    window.report('exporting');
    super.export(spans, (result) => {
      window.report(`${result.code === SUCCESS ? 'accepted' : 'failed'} ${ids.join(' ')}`);
      done(result);
    });
  }
}

class Counted extends BatchSpanProcessor {
  onEnd(span) {
    ended += 1;
    super.onEnd(span);
  }
}

function open(tracer) {
  const attributes = { 'url.path': '/basket', 'browser.language': 'nb-NO' };
  const root = tracer.startSpan('documentLoad', { kind: SpanKind.INTERNAL, attributes }, ROOT_CONTEXT);
  const inside = trace.setSpan(ROOT_CONTEXT, root);
  for (const name of ['resourceFetch', 'click']) tracer.startSpan(name, { kind: SpanKind.CLIENT }, inside).end();
  root.end();
}

window.start = ({ url, service }) => {
  const exporter = new Watched({ url });
  const provider = new WebTracerProvider({
    resource: resourceFromAttributes({ 'service.name': service }),
    spanProcessors: [new Counted(exporter, { scheduledDelayMillis: 200 })],
  });
  const tracer = provider.getTracer('shop-page', '1.0.0');
  const timer = setInterval(open, BETWEEN_TRACES_MS, tracer);
  window.stop = async () => {
    clearInterval(timer);
    await provider.shutdown();
    await window.report(`ended ${ended}`);
  };
};
