// Command steady sends traces with the OpenTelemetry SDK for Go until its standard input ends, and says what became of them.
//
// Everything else comes from the SDK's own OTEL_* variables. See ../README.md for the lines that it prints.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const betweenTraces = 20 * time.Millisecond

// watched says what the SDK is told about each span.
type watched struct{ *otlptrace.Exporter }

func (w watched) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	ids := make([]string, len(spans))
	for i, span := range spans {
		ids[i] = fmt.Sprintf("%s-%s", span.SpanContext().TraceID(), span.SpanContext().SpanID())
	}
	fmt.Println("exporting")
	err := w.Exporter.ExportSpans(ctx, spans)
	outcome := "accepted"
	if err != nil {
		outcome = "failed"
	}
	fmt.Println(outcome, strings.Join(ids, " "))
	return err
}

func exporter(ctx context.Context) (*otlptrace.Exporter, error) {
	if os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL") == "grpc" {
		return otlptracegrpc.New(ctx)
	}
	return otlptracehttp.New(ctx)
}

func order(tracer trace.Tracer) {
	attributes := trace.WithAttributes(attribute.String("http.request.method", "GET"), attribute.String("http.route", "/stock/{id}"))
	ctx, root := tracer.Start(context.Background(), "GET /stock/{id}", trace.WithSpanKind(trace.SpanKindServer), attributes)
	for _, name := range []string{"warehouse.Count", "SELECT stock"} {
		_, child := tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient))
		child.End()
	}
	root.End()
}

func main() {
	ctx := context.Background()
	made, err := exporter(ctx)
	if err != nil {
		log.Fatal(err)
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(watched{made}))
	tracer := provider.Tracer("stock")
	stop := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	ended := 0
	for tick := time.NewTicker(betweenTraces); ; {
		select {
		case <-tick.C:
			order(tracer)
			ended += 3
			continue
		case <-stop:
		}
		break
	}
	if err := provider.Shutdown(ctx); err != nil {
		log.Print(err)
	}
	fmt.Println("ended", ended)
}
