package smartlb.report;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What the corpus of the clients makes. As a program it prints a line for each message. */
final class Corpus {
    static final ObjectMapper JSON = new ObjectMapper();

    record Emitted(String topic, String name, JsonNode want, byte[] value, Map<String, byte[]> headers) {}

    static JsonNode read() throws IOException {
        return JSON.readTree(Path.of(System.getProperty("corpus", "../corpus.json")).toFile());
    }

    static Messages.Identity identity(JsonNode c) {
        Map<String, String> tags = new HashMap<>();
        c.path("tags").fields().forEachRemaining(e -> tags.put(e.getKey(), e.getValue().textValue()));
        return new Messages.Identity(c.get("serviceId").textValue(), c.get("instanceId").textValue(), c.path("address").textValue(), tags);
    }

    static List<Emitted> emitted() throws IOException {
        List<Emitted> out = new ArrayList<>();
        for (JsonNode c : read().get("reports")) {
            TreeMap<Integer, Long> latencies = new TreeMap<>();
            for (JsonNode l : c.get("latencies")) {
                latencies.merge(Messages.bucketOf(l.get(0).doubleValue()), l.get(1).longValue(), Long::sum);
            }
            var r = new Messages.Report(identity(c), c.get("timeMs").longValue(), c.get("spanMs").doubleValue(), latencies, c.get("errors").longValue(), c.get("active").longValue(),
                c.path("cpu").asDouble(Double.NaN), c.path("memory").asDouble(Double.NaN), c.path("utilization").asDouble(Double.NaN));
            out.add(new Emitted("service-metrics", c.get("name").textValue(), c.get("want"), r.value(), r.headers()));
        }
        for (JsonNode c : read().get("announcements")) {
            var status = c.path("stops").booleanValue() ? Reporter.Status.DRAINING : Reporter.Status.HEALTHY;
            out.add(new Emitted("health-status", c.get("name").textValue(), c.get("want"), Messages.status(identity(c), c.get("timeMs").longValue(), status), Map.of()));
        }
        return out;
    }

    public static void main(String[] args) throws IOException {
        for (Emitted e : emitted()) {
            Map<String, String> headers = new HashMap<>();
            e.headers().forEach((k, v) -> headers.put(k, Base64.getEncoder().encodeToString(v)));
            System.out.println(JSON.writeValueAsString(Map.of("topic", e.topic(), "name", e.name(), "value", new String(e.value(), StandardCharsets.UTF_8), "headers", headers)));
        }
    }
}
