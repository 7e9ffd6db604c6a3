package smartlb.report;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Sends messages with Apache's client, kafka-clients. It connects in the background and never blocks: a thread of its own waits for
 * the client. While brokers are unavailable it keeps messages, at most 600 that the client has not taken and 1 MiB in the client,
 * each for about 10 s. It drops and counts the rest.
 */
public final class KafkaPublisher implements Publisher {
    private static final int BUFFER = 600;
    private static final long TIMEOUT_MS = 10_000; // older reports are of little use

    private final KafkaProducer<byte[], byte[]> producer;
    private final ThreadPoolExecutor sender;
    private final AtomicLong published = new AtomicLong(), delivered = new AtomicLong(), dropped = new AtomicLong();

    /** brokers is host:port, with commas between several. */
    public KafkaPublisher(String brokers) {
        this(brokers, Map.of());
    }

    /** As above, with more settings of the producer, such as security.protocol. */
    public KafkaPublisher(String brokers, Map<String, ?> settings) {
        Map<String, Object> all = new HashMap<>(Map.of(
            "bootstrap.servers", brokers, "client.id", "smartlb-report", "buffer.memory", 1L << 20, "max.block.ms", TIMEOUT_MS,
            "delivery.timeout.ms", (int) TIMEOUT_MS, "request.timeout.ms", 5000, "linger.ms", 50L));
        all.putAll(settings);
        producer = new KafkaProducer<>(all, new ByteArraySerializer(), new ByteArraySerializer());
        sender = new ThreadPoolExecutor(1, 1, 0, TimeUnit.SECONDS, new ArrayBlockingQueue<>(BUFFER), task -> {
            Thread t = new Thread(task, "smartlb-report-kafka");
            t.setDaemon(true);
            return t;
        }, (task, pool) -> dropped.incrementAndGet());
    }

    @Override
    public void publish(String topic, byte[] key, byte[] value, Map<String, byte[]> headers, long timeMs) {
        published.incrementAndGet();
        ProducerRecord<byte[], byte[]> r = new ProducerRecord<>(topic, null, timeMs, key, value);
        headers.forEach((name, v) -> r.headers().add(name, v));
        sender.execute(() -> send(r));
    }

    private void send(ProducerRecord<byte[], byte[]> r) {
        if (System.currentTimeMillis() - r.timestamp() > TIMEOUT_MS) {
            dropped.incrementAndGet();
            return;
        }
        try {
            producer.send(r, (done, error) -> (error == null ? delivered : dropped).incrementAndGet());
        } catch (RuntimeException | Error e) { // interrupted, closed, or a class of the client is missing
            dropped.incrementAndGet();
        }
    }

    /** Returns the messages that were given to publish. */
    public long published() {
        return published.get();
    }

    /** Returns the messages that the brokers acknowledged. */
    public long delivered() {
        return delivered.get();
    }

    /** Returns the messages that were dropped: the queue was full, or the brokers did not answer in time. */
    public long dropped() {
        return dropped.get();
    }

    @Override
    public void close(Duration timeout) {
        long end = System.nanoTime() + timeout.toNanos();
        sender.shutdown();
        try {
            if (!sender.awaitTermination(timeout.toNanos(), TimeUnit.NANOSECONDS)) {
                dropped.addAndGet(sender.shutdownNow().size());
            }
        } catch (InterruptedException e) {
            dropped.addAndGet(sender.shutdownNow().size());
            Thread.currentThread().interrupt();
        }
        producer.close(Duration.ofNanos(Math.max(0, end - System.nanoTime())));
    }
}
