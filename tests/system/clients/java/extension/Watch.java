// An extension of the agent that says what the SDK is told about each span, in the lines of ../../README.md.

import io.opentelemetry.context.Context;
import io.opentelemetry.sdk.autoconfigure.spi.AutoConfigurationCustomizer;
import io.opentelemetry.sdk.autoconfigure.spi.AutoConfigurationCustomizerProvider;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.trace.ReadWriteSpan;
import io.opentelemetry.sdk.trace.ReadableSpan;
import io.opentelemetry.sdk.trace.SpanProcessor;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.util.Collection;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;

public class Watch implements AutoConfigurationCustomizerProvider {
  @Override
  public void customize(AutoConfigurationCustomizer customizer) {
    customizer.addSpanExporterCustomizer((exporter, config) -> new Watched(exporter));
    customizer.addTracerProviderCustomizer((provider, config) -> provider.addSpanProcessor(new Counter()));
  }

  private static final class Watched implements SpanExporter {
    private final SpanExporter inner;

    Watched(SpanExporter inner) {
      this.inner = inner;
    }

    @Override
    public CompletableResultCode export(Collection<SpanData> spans) {
      String ids = spans.stream().map(span -> span.getTraceId() + "-" + span.getSpanId()).collect(Collectors.joining(" "));
      System.out.println("exporting");
      CompletableResultCode result = inner.export(spans);
      return result.whenComplete(() -> System.out.println((result.isSuccess() ? "accepted " : "failed ") + ids));
    }

    @Override
    public CompletableResultCode flush() {
      return inner.flush();
    }

    @Override
    public CompletableResultCode shutdown() {
      return inner.shutdown();
    }
  }

  // Counted where spans end, whatever the SDK's queue then does with them.
  private static final class Counter implements SpanProcessor {
    private final AtomicLong ended = new AtomicLong();

    @Override
    public void onStart(Context parent, ReadWriteSpan span) {}

    @Override
    public boolean isStartRequired() {
      return false;
    }

    @Override
    public void onEnd(ReadableSpan span) {
      ended.incrementAndGet();
    }

    @Override
    public boolean isEndRequired() {
      return true;
    }

    @Override
    public CompletableResultCode shutdown() {
      System.out.println("ended " + ended.get());
      return CompletableResultCode.ofSuccess();
    }
  }
}
