package smartlb.report;

import java.io.ByteArrayOutputStream;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/** The two messages of an instance, and the sketch of its latencies. Nothing here reads a clock. */
final class Messages {
    static final String SERVICE_METRICS = "service-metrics", HEALTH_STATUS = "health-status", HEADER_LATENCY = "smartlb-latency";

    // The buckets of a DDSketch with 1 % accuracy: bucket i has latencies in (GAMMA^(i-1), GAMMA^i] milliseconds.
    private static final double ACCURACY = 0.01, GAMMA = (1 + ACCURACY) / (1 - ACCURACY);
    private static final int FIRST_BUCKET = -346; // 1 us; shorter latencies count there
    private static final int LAST_BUCKET = 641; // 6 minutes; longer latencies count there
    private static final int FEW_BUCKETS = 32; // of a sketch
    static final int BUCKETS = LAST_BUCKET - FIRST_BUCKET + 1;

    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);

    private Messages() {}

    /** The names of an instance. address is null if it does not register itself. */
    record Identity(String serviceId, String instanceId, String address, Map<String, String> tags) {
        Identity {
            check("serviceId", serviceId);
            check("instanceId", instanceId);
            if (address != null && (address.length() > 256 || !address.matches("(\\[[^\\]]+\\]|[^:\\[\\]]+):[^:]+"))) {
                throw new IllegalArgumentException("address: \"" + address + "\" is not host:port");
            }
            tags = tags == null ? Map.of() : Map.copyOf(tags);
        }

        private static void check(String what, String name) {
            if (name == null || name.isEmpty() || name.getBytes(StandardCharsets.UTF_8).length > 256 || name.equals("_all")) {
                throw new IllegalArgumentException(what + ": \"" + name + "\" is not a name of 1 to 256 bytes");
            }
        }
    }

    /**
     * The measurements since the previous report. A number that is not known is NaN. latencies are the requests without failure
     * by bucket.
     */
    record Report(Identity of, long timeMs, double spanMs, SortedMap<Integer, Long> latencies, long errors, long active, double cpu, double memory, double utilization) {
        /** Returns the message for the topic service-metrics. */
        byte[] value() {
            long successes = latencies.values().stream().mapToLong(Long::longValue).sum();
            double requests = successes + errors;
            StringBuilder out = identity(of, timeMs).append(",\"metrics\":{");
            number(out, "rps", requests / (spanMs / 1000), 3);
            number(out, "p95Latency", p95(successes), 3);
            number(out, "errorRate", errors / requests, 6); // NaN without requests
            number(out, "activeConnections", Math.max(active, 0), 0);
            number(out, "cpuUsage", cpu, 4);
            number(out, "memoryUsage", memory, 4);
            number(out, "utilization", utilization, 4);
            out.setCharAt(out.length() - 1, '}'); // instead of the last comma
            if (!of.tags().isEmpty()) {
                out.append(",\"tags\":{");
                new TreeMap<>(of.tags()).forEach((k, v) -> text(text(out, k).append(':'), v).append(','));
                out.setCharAt(out.length() - 1, '}');
            }
            return out.append('}').toString().getBytes(StandardCharsets.UTF_8);
        }

        /** Returns the headers of the message: the sketch of the latencies, if there are any. */
        Map<String, byte[]> headers() {
            return latencies.isEmpty() ? Map.of() : Map.of(HEADER_LATENCY, sketch(latencies));
        }

        private double p95(long total) {
            long rank = (long) (0.95 * (total - 1));
            for (Map.Entry<Integer, Long> e : latencies.entrySet()) {
                if (rank < e.getValue()) {
                    return middle(e.getKey());
                }
                rank -= e.getValue();
            }
            return Double.NaN;
        }
    }

    /** Returns the message for the topic health-status. */
    static byte[] status(Identity of, long timeMs, Reporter.Status status) {
        return identity(of, timeMs).append(",\"status\":\"").append(status).append("\",\"checkType\":\"report\"}").toString().getBytes(StandardCharsets.UTF_8);
    }

    private static StringBuilder identity(Identity of, long timeMs) {
        StringBuilder out = new StringBuilder(256).append("{\"timestamp\":\"").append(TIME.format(Instant.ofEpochMilli(timeMs)));
        text(out.append("\",\"serviceId\":"), of.serviceId());
        text(out.append(",\"instanceId\":"), of.instanceId());
        return of.address() == null ? out : text(out.append(",\"address\":"), of.address());
    }

    private static void number(StringBuilder out, String name, double v, int digits) {
        if (Double.isNaN(v)) {
            return;
        }
        double scale = Math.pow(10, digits);
        double rounded = Math.floor(v * scale + 0.5) / scale;
        out.append('"').append(name).append("\":").append(new BigDecimal(Double.toString(rounded)).stripTrailingZeros().toPlainString()).append(',');
    }

    /** Appends a text of JSON. */
    private static StringBuilder text(StringBuilder out, String s) {
        out.append('"');
        for (int i = 0; i < s.length(); i++) {
            char c = s.charAt(i);
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < ' ') {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"');
    }

    /** Returns the bucket of a latency. */
    static int bucketOf(double ms) {
        if (!(ms > 0)) {
            return FIRST_BUCKET;
        }
        return (int) Math.min(Math.max(Math.ceil(Math.log(ms) / Math.log(GAMMA)), FIRST_BUCKET), LAST_BUCKET);
    }

    /** Returns the place of a latency in an array of BUCKETS. */
    static int place(double ms) {
        return bucketOf(ms) - FIRST_BUCKET;
    }

    /** Returns counts in an array of BUCKETS by bucket. */
    static SortedMap<Integer, Long> byBucket(long[] counts) {
        SortedMap<Integer, Long> out = new TreeMap<>();
        for (int i = 0; i < counts.length; i++) {
            if (counts[i] > 0) {
                out.put(i + FIRST_BUCKET, counts[i]);
            }
        }
        return out;
    }

    /** Returns a value within 1 % of all latencies of a bucket, in milliseconds. */
    static double middle(int bucket) {
        return Math.pow(GAMMA, bucket) * (1 - ACCURACY);
    }

    /** Returns the latencies in the binary encoding of DataDog/sketches-go, with at most 32 buckets. */
    static byte[] sketch(SortedMap<Integer, Long> latencies) {
        List<Map.Entry<Integer, Long>> ordered = new ArrayList<>(latencies.entrySet());
        int size = 1 + (ordered.size() - 1) / FEW_BUCKETS, before = 0;
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        // A logarithmic mapping with the offset 0, then the positive values: deltas of indexes, and counts.
        out.writeBytes(ByteBuffer.allocate(18).order(ByteOrder.LITTLE_ENDIAN).put((byte) 0x02).putDouble(GAMMA).putDouble(0).put((byte) 0x05).array());
        uvarint(out, (ordered.size() + size - 1) / size);
        for (int at = 0; at < ordered.size(); at += size) {
            double n = 0, sum = 0;
            for (Map.Entry<Integer, Long> e : ordered.subList(at, Math.min(at + size, ordered.size()))) {
                n += e.getValue();
                sum += middle(e.getKey()) * e.getValue();
            }
            int index = (int) Math.floor(Math.log(sum / n) / Math.log(GAMMA));
            long delta = index - before;
            uvarint(out, delta << 1 ^ delta >> 63);
            varfloat(out, n);
            before = index;
        }
        return out.toByteArray();
    }

    private static void uvarint(ByteArrayOutputStream out, long v) {
        for (; (v & ~0x7FL) != 0; v >>>= 7) {
            out.write((int) (v & 0x7F | 0x80));
        }
        out.write((int) v);
    }

    private static void varfloat(ByteArrayOutputStream out, double v) {
        long x = Long.rotateLeft(Double.doubleToRawLongBits(v + 1) - Double.doubleToRawLongBits(1), 6);
        for (int i = 0; i < 8; i++) {
            int n = (int) (x >>> 57);
            x <<= 7;
            if (x == 0) {
                out.write(n);
                return;
            }
            out.write(n | 0x80);
        }
        out.write((int) (x >>> 56));
    }
}
