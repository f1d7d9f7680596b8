// A small app without a line about tracing: the agent instruments its server and its client.
//
// It calls itself until its standard input ends. See ../../README.md.

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

public class Steady {
  private static final int BETWEEN_TRACES_MS = 20;

  public static void main(String[] arguments) throws Exception {
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    server.createContext("/prices", Steady::answer);
    server.start();
    URI uri = URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/prices");
    HttpClient client = HttpClient.newHttpClient();
    HttpRequest request = HttpRequest.newBuilder(uri).build();
    var pace = Executors.newSingleThreadScheduledExecutor();
    pace.scheduleAtFixedRate(() -> call(client, request), 0, BETWEEN_TRACES_MS, TimeUnit.MILLISECONDS);
    System.in.readAllBytes();
    pace.shutdown();
    pace.awaitTermination(10, TimeUnit.SECONDS);
    server.stop(1);
    // The agent's own shutdown hook sends what is left.
    System.exit(0);
  }

  private static void answer(HttpExchange exchange) throws IOException {
    byte[] body = "12.50".getBytes();
    exchange.sendResponseHeaders(200, body.length);
    exchange.getResponseBody().write(body);
    exchange.close();
  }

  private static void call(HttpClient client, HttpRequest request) {
    try {
      client.send(request, HttpResponse.BodyHandlers.ofString());
    } catch (IOException | InterruptedException error) {
      error.printStackTrace();
    }
  }
}
