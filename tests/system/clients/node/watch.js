// Says on standard output what the SDK was told about each span: loaded by `node --require` before the program, whatever
// builds the SDK there. The lines are those of ../README.md.
'use strict';
const { OTLPExporterBase } = require('@opentelemetry/otlp-exporter-base');
const { BatchSpanProcessor } = require('@opentelemetry/sdk-trace');

const SUCCESS = 0;
let ended = 0;

const exportSpans = OTLPExporterBase.prototype.export;
OTLPExporterBase.prototype.export = function (spans, done) {
  const ids = spans.map((span) => `${span.spanContext().traceId}-${span.spanContext().spanId}`);
  console.log('exporting');
  exportSpans.call(this, spans, (result) => {
    if (result.error) console.error(result.error);
    console.log(`${result.code === SUCCESS ? 'accepted' : 'failed'} ${ids.join(' ')}`);
    done(result);
  });
};

const onEnd = BatchSpanProcessor.prototype.onEnd;
BatchSpanProcessor.prototype.onEnd = function (span) {
  ended += 1;
  onEnd.call(this, span);
};

process.on('exit', () => console.log(`ended ${ended}`));
