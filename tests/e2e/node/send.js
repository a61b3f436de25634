"use strict";
// send.js TRANSPORT COMPRESSION ENDPOINT TAP: sends traces, metrics and logs with the OpenTelemetry SDK over
// grpc, http (with protobuf) or json (over HTTP), and writes what the SDK made of them to TAP: a line
// {"signal", "body"} with base64 for each request.
// The exit code is 0 only if the exporters reported success for all.
const fs = require("fs");
const api = require("@opentelemetry/api");
const { SeverityNumber } = require("@opentelemetry/api-logs");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { BasicTracerProvider, BatchSpanProcessor } = require("@opentelemetry/sdk-trace-base");
const sdkMetrics = require("@opentelemetry/sdk-metrics");
const { LoggerProvider, BatchLogRecordProcessor } = require("@opentelemetry/sdk-logs");
const transformer = require("@opentelemetry/otlp-transformer");

const [transport, compression, endpoint, tapFile] = process.argv.slice(2);
const kind = { grpc: "grpc", http: "proto", json: "http" }[transport];
const format = transport === "json" ? "Json" : "Protobuf";
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${kind}`);
const { OTLPMetricExporter } = require(`@opentelemetry/exporter-metrics-otlp-${kind}`);
const { OTLPLogExporter } = require(`@opentelemetry/exporter-logs-otlp-${kind}`);

const tap = fs.openSync(tapFile, "w");
let failures = 0;
const results = [];

// The exporter, with every request it makes written down and every result looked at.
function tapped(exporter, signal, serializer) {
  const inner = exporter.export.bind(exporter);
  exporter.export = (data, done) => {
    const body = Buffer.from(serializer.serializeRequest(data)).toString("base64");
    fs.writeSync(tap, JSON.stringify({ signal, body }) + "\n");
    results.push(signal);
    inner(data, (result) => {
      if (result.code !== 0) {
        failures++;
        console.error(signal, result.error);
      }
      done(result);
    });
  };
  return exporter;
}

function options(path) {
  const url = transport === "grpc" ? `http://${endpoint}` : `http://${endpoint}${path}`;
  return { url, compression, timeoutMillis: 15000 };
}

const resource = resourceFromAttributes({
  "service.name": `node-${transport}-${compression}`,
  "process.pid": process.pid,
  "e2e.list": ["a", "b"],
  "e2e.share": 0.25,
  "e2e.flag": false,
});

async function traces() {
  const exporter = tapped(new OTLPTraceExporter(options("/v1/traces")), "traces",
    transformer[`${format}TraceSerializer`]);
  const provider = new BasicTracerProvider({
    resource,
    spanProcessors: [new BatchSpanProcessor(exporter, { maxExportBatchSize: 16 })],
  });
  const tracer = provider.getTracer("e2e.traces", "1.2.3", { schemaUrl: "https://example.com/1" });
  for (let i = 0; i < 40; i++) {
    const parent = tracer.startSpan(`parent ${i}`, {
      kind: api.SpanKind.SERVER,
      attributes: { "http.request.method": "GET", "url.path": `/p/${i}`, "e2e.números": [1, 2, 3], big: 2 ** 53 - 1 },
    });
    const context = api.trace.setSpan(api.context.active(), parent);
    const child = tracer.startSpan("child", {
      kind: api.SpanKind.CLIENT,
      links: [{ context: parent.spanContext(), attributes: { why: "test" } }],
    }, context);
    child.addEvent("happened", { at: i, "naïve": "ünï ☃" });
    if (i % 3 === 0) {
      child.recordException(new Error(`bad ${i}`));
      child.setStatus({ code: api.SpanStatusCode.ERROR, message: `bad ${i}` });
    } else {
      child.setStatus({ code: api.SpanStatusCode.OK });
    }
    child.end();
    parent.end();
  }
  await provider.shutdown();
}

async function metrics() {
  const exporter = tapped(new OTLPMetricExporter(options("/v1/metrics")), "metrics",
    transformer[`${format}MetricsSerializer`]);
  const reader = new sdkMetrics.PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3600000 });
  const provider = new sdkMetrics.MeterProvider({
    resource, readers: [reader],
    views: [{
      instrumentName: "e2e.exponential",
      aggregation: { type: sdkMetrics.AggregationType.EXPONENTIAL_HISTOGRAM },
    }],
  });
  const meter = provider.getMeter("e2e.metrics", "2");
  meter.createObservableGauge("e2e.gauge", { unit: "Cel" }).addCallback((r) => r.observe(-3.5, { room: "a" }));
  const counter = meter.createCounter("e2e.counter", { description: "counts", unit: "{thing}" });
  const upDown = meter.createUpDownCounter("e2e.updown", { valueType: api.ValueType.INT });
  const histogram = meter.createHistogram("e2e.histogram", { unit: "s" });
  const exponential = meter.createHistogram("e2e.exponential", { unit: "s" });
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 20; i++) {
      counter.add(i, { series: `s${i % 4}` });
      upDown.add(i % 2 ? 5 : -7, { series: i });
      histogram.record(i * 0.7, { round });
      exponential.record(2 ** i / 1000 - 3);
    }
    await provider.forceFlush();
  }
  await provider.shutdown();
}

async function logs() {
  const exporter = tapped(new OTLPLogExporter(options("/v1/logs")), "logs",
    transformer[`${format}LogsSerializer`]);
  const provider = new LoggerProvider({
    resource, processors: [new BatchLogRecordProcessor({ exporter, maxExportBatchSize: 10 })],
  });
  const logger = provider.getLogger("e2e.logs", "3");
  const bodies = ["text", "", "☃", 17, -1.5, true, ["a", 1, [2]], { deep: { deeper: [1, { deepest: "x" }] } },
    new Uint8Array([0, 1, 255])];
  for (let i = 0; i < 30; i++) {
    logger.emit({
      severityNumber: SeverityNumber.INFO + (i % 8), severityText: "INFO",
      body: bodies[i % bodies.length], eventName: i % 2 ? "e2e.event" : undefined,
      attributes: { i, nested: { a: [1, "b"] }, bytes: new Uint8Array([1, 2]) },
      timestamp: new Date(1700000000000 + i),
    });
  }
  await provider.shutdown();
}

Promise.all([traces(), metrics(), logs()]).then(() => {
  fs.closeSync(tap);
  process.exit(failures === 0 && new Set(results).size === 3 ? 0 : 1);
}, (error) => {
  console.error(error);
  process.exit(1);
});
