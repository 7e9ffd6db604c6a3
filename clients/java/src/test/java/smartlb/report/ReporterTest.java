package smartlb.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReporterTest {
    record Message(String topic, String key, JsonNode value, Map<String, byte[]> headers) {
        JsonNode metric(String name) {
            return value.path("metrics").path(name);
        }
    }

    /** A Publisher that keeps messages. */
    static final class Collected implements Publisher {
        final List<Message> messages = new ArrayList<>();
        final AtomicInteger closed = new AtomicInteger();

        @Override
        public synchronized void publish(String topic, byte[] key, byte[] value, Map<String, byte[]> headers, long timeMs) {
            try {
                messages.add(new Message(topic, new String(key), Corpus.JSON.readTree(value), headers));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            notifyAll();
        }

        @Override
        public void close(Duration timeout) {
            closed.incrementAndGet();
        }

        synchronized Message await(Predicate<Message> ok) throws InterruptedException {
            for (long end = System.nanoTime() + Duration.ofMinutes(2).toNanos(); System.nanoTime() < end; wait(1000)) {
                for (Message m : messages) {
                    if (ok.test(m)) {
                        return m;
                    }
                }
            }
            return fail(messages.toString());
        }

        synchronized List<String> states() {
            return messages.stream().filter(m -> m.topic().equals("health-status")).map(m -> m.value().get("status").textValue()).toList();
        }
    }

    static Reporter.Builder reporter(Publisher p) {
        return Reporter.of("s", "i", p).interval(Duration.ofMillis(100));
    }

    /** The time of a message may have zeros at its end, and integers are numbers. */
    static JsonNode comparable(JsonNode m) throws IOException {
        ObjectNode out = m.deepCopy();
        out.put("timestamp", Instant.parse(m.get("timestamp").textValue()).toEpochMilli());
        if (out.get("metrics") instanceof ObjectNode metrics) {
            metrics.fieldNames().forEachRemaining(name -> metrics.put(name, metrics.get(name).doubleValue()));
        }
        return out;
    }

    @Test
    void messagesAreThoseOfTheCorpus() throws IOException {
        for (Corpus.Emitted e : Corpus.emitted()) {
            assertEquals(comparable(e.want()), comparable(Corpus.JSON.readTree(e.value())), e.name());
        }
    }

    @Test
    void badSettingsAreRefused() throws IOException {
        for (JsonNode c : Corpus.read().get("badSettings")) {
            var settings = Reporter.of(c.get("serviceId").textValue(), c.get("instanceId").textValue(), new Collected()).address(c.path("address").textValue()).interval(Duration.ofMillis(c.path("intervalMs").asLong(1000)));
            assertThrows(IllegalArgumentException.class, settings::build, c.get("name").textValue());
        }
        assertThrows(IllegalArgumentException.class, reporter(null)::build);
    }

    @Test
    void signaturesAreThoseOfTheCorpus() throws IOException {
        for (JsonNode c : Corpus.read().get("signatures")) {
            byte[] key = c.get("key").textValue().getBytes(StandardCharsets.UTF_8), value = c.get("value").textValue().getBytes(StandardCharsets.UTF_8);
            byte[] got = new SigningKey(c.get("keyId").textValue(), c.get("secret").textValue()).header(c.get("topic").textValue(), key, value, c.get("timeMs").longValue());
            assertEquals(c.get("want").textValue(), new String(got, StandardCharsets.UTF_8), c.get("name").textValue());
        }
        for (JsonNode c : Corpus.read().get("badKeys")) {
            String secret = c.get("secret").textValue();
            var e = assertThrows(IllegalArgumentException.class, () -> reporter(new Collected()).signingKey(c.get("keyId").textValue(), secret), c.get("name").textValue());
            assertTrue(secret.isEmpty() || !e.getMessage().contains(secret));
        }
    }

    @Test
    void pacesAreThoseOfTheCorpus() throws IOException {
        for (JsonNode c : Corpus.read().get("paces")) {
            Pace pace = new Pace(c.get("intervalMs").longValue(), c.get("steadyMs").longValue());
            List<Integer> places = new ArrayList<>(), want = new ArrayList<>();
            c.get("want").forEach(n -> want.add(n.intValue()));
            long now = 0, last = 0, requests = 0, errors = 0;
            int place = 0;
            for (JsonNode look : c.get("looks")) {
                for (int n = 0; n < look.get("times").intValue(); n++, place++) {
                    now += look.get("afterMs").longValue();
                    requests += look.get("requests").longValue();
                    errors += look.get("errors").longValue();
                    if (pace.due(now, look.get("requests").longValue(), look.get("errors").longValue(), look.path("cpu").asDouble(Double.NaN), look.path("utilization").asDouble(Double.NaN))) {
                        pace.reported(now, (double) requests / (now - last) * 1000, requests == 0 ? 0 : (double) errors / requests);
                        places.add(place);
                        last = now;
                        requests = errors = 0;
                    }
                }
            }
            assertEquals(want, places, c.get("name").textValue());
        }
    }

    @Test
    void aDrainIsRepeatedUntilItEnds() throws InterruptedException {
        Collected out = new Collected();
        try (Reporter r = reporter(out).withoutUsage().steady(Duration.ofMillis(100)).repeat(Duration.ofMillis(150)).build().start()) {
            r.status(Reporter.Status.DRAINING);
            out.await(m -> out.states().stream().filter("DRAINING"::equals).count() >= 3);
            r.status(Reporter.Status.HEALTHY);
            int n = out.messages.size();
            out.await(m -> out.messages.size() > n + 4);
        }
        assertEquals("HEALTHY", out.states().get(out.states().size() - 1));
    }

    @Test
    void aDrainIsRepeatedBetweenRareReports() throws InterruptedException {
        Collected out = new Collected();
        try (Reporter r = reporter(out).withoutUsage().interval(Duration.ofMinutes(1)).repeat(Duration.ofMillis(50)).build().start()) {
            r.status(Reporter.Status.DRAINING);
            out.await(m -> out.states().stream().filter("DRAINING"::equals).count() >= 3);
        }
    }

    @Test
    void aSteadyInstanceReportsLessOften() throws InterruptedException {
        Collected out = new Collected();
        AtomicInteger looks = new AtomicInteger();
        try (Reporter r = reporter(out).withoutUsage().utilization(() -> looks.incrementAndGet() > 0 ? 0.5 : 0).build().start()) {
            out.await(m -> looks.get() > out.messages.size());
        }
        assertThrows(IllegalArgumentException.class, reporter(out).steady(Duration.ofMillis(99))::build);
        assertThrows(IllegalArgumentException.class, reporter(out).steady(Duration.ofSeconds(61))::build);
    }

    @Test
    void anErrorEndsNoReports() throws InterruptedException {
        AtomicInteger calls = new AtomicInteger();
        Publisher broken = (topic, key, value, headers, timeMs) -> {
            calls.incrementAndGet();
            throw new NoClassDefFoundError("broken");
        };
        try (Reporter r = reporter(broken).steady(Duration.ofMillis(100)).utilization(() -> {
            throw new AssertionError("broken");
        }).inFlight(() -> {
            throw new StackOverflowError();
        }).build().start()) {
            for (long end = System.nanoTime() + Duration.ofMinutes(2).toNanos(); calls.get() < 3 && System.nanoTime() < end;) {
                Thread.sleep(10);
            }
        }
        assertTrue(calls.get() >= 3);
    }

    @Test
    void bucketsAreWithinOnePercent() {
        for (double ms = 0.001; ms < 300_000; ms *= 1.001) {
            assertEquals(ms, Messages.middle(Messages.bucketOf(ms)), 0.0101 * ms);
        }
        for (double odd : new double[] {0, -1, Double.NaN, Double.POSITIVE_INFINITY}) {
            int place = Messages.place(odd);
            assertTrue(place >= 0 && place < Messages.BUCKETS);
        }
    }

    @Test
    void anInstanceJoinsReportsAndLeaves() throws InterruptedException {
        Collected out = new Collected();
        Reporter r = reporter(out).address("127.0.0.1:80").tags(Map.of("zone", "a")).utilization(() -> 7).steady(Duration.ofMillis(100)).signingKey("k", "s".repeat(32)).build().start();
        assertThrows(IllegalStateException.class, r::start);
        try (Reporter.Request q = r.request()) {
            Message m = out.await(x -> x.metric("activeConnections").asInt() == 1);
            assertEquals("s", m.key());
            assertEquals(1, m.metric("utilization").asDouble());
            assertEquals("a", m.value().get("tags").get("zone").textValue());
        }
        try (Reporter.Request q = r.request()) {
            q.failed();
        }
        out.await(x -> x.metric("errorRate").asDouble() > 0);
        out.await(x -> x.headers().containsKey("smartlb-latency"));
        out.await(x -> x.metric("cpuUsage").isNumber() && x.metric("memoryUsage").asDouble() > 0);
        r.status(Reporter.Status.DEGRADED);
        r.close();
        r.close();
        assertEquals(1, out.closed.get());
        assertEquals(List.of("HEALTHY", "DEGRADED", "DRAINING"), out.states());
        assertTrue(out.messages.stream().allMatch(m -> new String(m.headers().get("smartlb-signature")).startsWith("v1 k ")));
        assertTrue(out.messages.stream().allMatch(m -> m.value().get("address").textValue().equals("127.0.0.1:80")));
        int n = out.messages.size();
        r.status(Reporter.Status.HEALTHY); // after close nothing is sent
        assertEquals(n, out.messages.size());
    }

    @Test
    void withoutAnAddressNoStatusIsSent() throws InterruptedException {
        Collected out = new Collected();
        try (Reporter r = reporter(out).withoutUsage().build().start()) {
            out.await(m -> m.topic().equals("service-metrics"));
        }
        assertEquals(List.of(), out.states());
    }

    @Test
    void callbacksAndPublishersThatFailDoNotEndReports() throws InterruptedException {
        AtomicInteger calls = new AtomicInteger();
        Publisher broken = (topic, key, value, headers, timeMs) -> {
            calls.incrementAndGet();
            throw new IllegalStateException("broken");
        };
        try (Reporter r = reporter(broken).steady(Duration.ofMillis(100)).utilization(() -> 1 / (calls.get() - calls.get())).inFlight(() -> -1).build().start()) {
            for (long end = System.nanoTime() + Duration.ofMinutes(2).toNanos(); calls.get() < 3 && System.nanoTime() < end;) {
                Thread.sleep(10);
            }
        }
        assertTrue(calls.get() >= 3);
    }

    @Test
    void manyThreadsCountEachRequestOnce() throws InterruptedException {
        Collected out = new Collected();
        Reporter r = reporter(out).withoutUsage().build();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            threads.add(new Thread(() -> {
                for (int n = 0; n < 1000; n++) {
                    r.observe(Duration.ofMillis(10), n % 4 == 0);
                }
            }));
        }
        threads.forEach(Thread::start);
        for (Thread t : threads) {
            t.join();
        }
        r.start();
        Message m = out.await(x -> x.metric("rps").asDouble() > 0);
        assertEquals(0.25, m.metric("errorRate").asDouble());
        r.close();
    }

    @Test
    void theSmallestLimitCounts(@TempDir Path root) throws IOException {
        Map<String, String> files = Map.of(
            "proc/self/cgroup", "0::/a/b\n", "proc/meminfo", "MemTotal: 4000 kB\n", "proc/self/status", "VmRSS:\t500 kB\n",
            "sys/fs/cgroup/a/cpu.max", "50000 100000\n", "sys/fs/cgroup/a/b/cpu.max", "max 100000\n", "sys/fs/cgroup/a/b/memory.max", "2048000\n", "sys/fs/cgroup/memory.max", "max\n");
        for (Map.Entry<String, String> f : files.entrySet()) {
            Files.createDirectories(root.resolve(f.getKey()).getParent());
            Files.writeString(root.resolve(f.getKey()), f.getValue());
        }
        Usage u = new Usage(root);
        assertEquals(0.5, u.cores);
        assertEquals(0.25, u.memory());
        Usage nothing = new Usage(root.resolve("none"));
        assertTrue(Double.isNaN(nothing.memory()));
        assertTrue(Double.isNaN(nothing.cpu(1)));
        assertFalse(Double.isNaN(nothing.cpu(2e9)));
    }
}
