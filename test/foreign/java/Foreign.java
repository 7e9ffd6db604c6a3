import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;

/** Apache's own client, as a program that knows nothing of smartlb. See ../README.md. */
public class Foreign {
    static final ObjectMapper json = new ObjectMapper();
    static String broker;

    public static void main(String[] a) throws Exception {
        broker = a[0];
        switch (a[1]) {
            case "produce" -> produce(a[2], a[3]);
            case "consume" -> consume(a[2], a[3], Integer.parseInt(a[4]));
            case "transact" -> transact(a[2]);
            case "big" -> big(a[2], Integer.parseInt(a[3]));
            default -> throw new IllegalArgumentException(a[1]);
        }
    }

    static KafkaProducer<byte[], byte[]> producer(String... settings) {
        Properties p = new Properties();
        p.put("bootstrap.servers", broker);
        p.put("key.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer");
        p.put("value.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer");
        p.put("delivery.timeout.ms", "30000");
        p.put("request.timeout.ms", "10000");
        for (int i = 0; i < settings.length; i += 2) {
            p.put(settings[i], settings[i + 1]);
        }
        return new KafkaProducer<>(p);
    }

    static byte[] bytes(JsonNode n) {
        return n == null || n.isNull() ? null : n.asText().getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] b) {
        return b == null ? null : new String(b, StandardCharsets.UTF_8);
    }

    static void produce(String topic, String codec) throws Exception {
        try (var producer = producer("compression.type", codec, "linger.ms", "20");
                var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (String line; (line = in.readLine()) != null; ) {
                JsonNode n = json.readTree(line);
                var record = new ProducerRecord<>(topic, bytes(n.get("key")), bytes(n.get("value")));
                if (n.get("headers") != null) {
                    n.get("headers").fields().forEachRemaining(h -> record.headers().add(h.getKey(), bytes(h.getValue())));
                }
                sent.add(producer.send(record));
            }
            producer.flush();
            for (var f : sent) {
                f.get();
            }
        }
    }

    static void consume(String topic, String group, int n) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", broker);
        p.put("group.id", group);
        p.put("key.deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer");
        p.put("value.deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer");
        p.put("auto.offset.reset", "earliest");
        p.put("enable.auto.commit", "false");
        p.put("isolation.level", "read_committed");
        p.put("max.partition.fetch.bytes", "11534336");
        try (var consumer = new KafkaConsumer<byte[], byte[]>(p)) {
            consumer.subscribe(Arrays.asList(topic));
            long end = System.nanoTime() + 60_000_000_000L;
            int seen = 0;
            while (seen < n && System.nanoTime() < end) {
                for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(200))) {
                    ObjectNode o = json.createObjectNode();
                    o.put("key", text(r.key()));
                    o.put("value", text(r.value()));
                    ObjectNode headers = o.putObject("headers");
                    r.headers().forEach(h -> headers.put(h.key(), text(h.value())));
                    System.out.println(json.writeValueAsString(o));
                    seen++;
                }
            }
            consumer.commitSync();
        }
    }

    static void transact(String topic) throws Exception {
        try (var producer = producer("transactional.id", "foreign-java")) {
            producer.initTransactions();
            for (String how : List.of("committed", "aborted", "committed")) {
                producer.beginTransaction();
                for (int i = 0; i < 3; i++) {
                    producer.send(new ProducerRecord<>(topic, ("k" + i).getBytes(), how.getBytes()));
                }
                producer.flush();
                if (how.equals("committed")) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
        }
    }

    static void big(String topic, int size) throws Exception {
        byte[] value = new byte[size];
        Arrays.fill(value, (byte) 'x');
        try (var producer = producer("max.request.size", "20000000", "buffer.memory", "67108864")) {
            producer.send(new ProducerRecord<>(topic, value)).get();
            System.out.println("ok");
        } catch (ExecutionException e) {
            System.out.println(e.getCause().getClass().getSimpleName() + ": " + e.getCause().getMessage());
        }
    }
}
