package smartlb.report;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.DoubleSupplier;
import java.util.function.LongSupplier;

/** Counts requests and publishes reports, in a thread of its own. Its methods are safe for concurrent use. */
public final class Reporter implements AutoCloseable {
    /** What an instance says about itself on health-status. */
    public enum Status { HEALTHY, DEGRADED, UNHEALTHY, DRAINING }

    /** A request in progress. Closing it counts the request, as a failure if {@link #failed} was called. */
    public interface Request extends AutoCloseable {
        /** Says that the request failed. */
        void failed();

        @Override
        void close();
    }

    private static final System.Logger log = System.getLogger("smartlb.report");

    private static final long REPEAT_MS = 10_000; // between two messages with a status other than HEALTHY: smartlb believes one for 30 s

    private final Messages.Identity identity;
    private final Publisher publisher;
    private final SigningKey signingKey; // null: messages are not signed
    private final long intervalMs, repeatMs;
    private final Pace pace;
    private final DoubleSupplier utilization;
    private final LongSupplier inFlight;
    private final Usage usage; // null: not measured
    private final AtomicLongArray latencies = new AtomicLongArray(Messages.BUCKETS);
    private final LongAdder errors = new LongAdder(), active = new LongAdder();
    private final Object sending = new Object();
    private final Thread thread = new Thread(this::run, "smartlb-report");
    private final AtomicBoolean started = new AtomicBoolean(), complained = new AtomicBoolean();
    private final CountDownLatch stopping = new CountDownLatch(1);
    private boolean closed; // guarded by sending, as the next two
    private Status status = Status.HEALTHY; // the latest; a repeated one never follows a newer one
    private long saidNs; // when it was sent

    // Of the reporter's thread: what was counted since the last report.
    private final long[] counted = new long[Messages.BUCKETS];
    private long failed;
    private double reportedNs;

    private Reporter(Builder b) {
        identity = new Messages.Identity(b.serviceId, b.instanceId, b.address, b.tags);
        if (b.intervalMs < 100 || b.intervalMs > 60_000) {
            throw new IllegalArgumentException("interval: " + b.intervalMs + " ms is not within 100 ms to 60 s");
        }
        if (b.publisher == null) {
            throw new IllegalArgumentException("publisher: missing");
        }
        long steadyMs = b.steadyMs == null ? Math.max(30_000, b.intervalMs) : b.steadyMs;
        if (steadyMs < b.intervalMs || steadyMs > 60_000) {
            throw new IllegalArgumentException("steady: " + steadyMs + " ms is not within interval to 60 s");
        }
        publisher = b.publisher;
        signingKey = b.signingKey;
        repeatMs = b.repeatMs;
        pace = new Pace(b.intervalMs, steadyMs);
        intervalMs = b.intervalMs;
        utilization = b.utilization;
        inFlight = b.inFlight;
        usage = b.usage ? new Usage(Path.of("/")) : null;
        thread.setDaemon(true);
    }

    /** Returns the settings of a reporter. instanceId is unique within the service. */
    public static Builder of(String serviceId, String instanceId, Publisher publisher) {
        return new Builder(serviceId, instanceId, publisher);
    }

    /** Settings of a reporter. */
    public static final class Builder {
        private final String serviceId, instanceId;
        private final Publisher publisher;
        private String address;
        private Map<String, String> tags;
        private long intervalMs = 1000, repeatMs = REPEAT_MS;
        private Long steadyMs; // null: the default
        private SigningKey signingKey;
        private DoubleSupplier utilization;
        private LongSupplier inFlight;
        private boolean usage = true;

        private Builder(String serviceId, String instanceId, Publisher publisher) {
            this.serviceId = serviceId;
            this.instanceId = instanceId;
            this.publisher = publisher;
        }

        /** host:port at which the instance takes requests: with it, the instance registers itself where a service permits that. */
        public Builder address(String address) {
            this.address = address;
            return this;
        }

        /** Texts that are sent with each report. */
        public Builder tags(Map<String, String> tags) {
            this.tags = tags;
            return this;
        }

        /** Shortest time between two reports, 100 ms to 60 s, up to a tenth shorter or longer. Default 1 s. */
        public Builder interval(Duration interval) {
            this.intervalMs = interval.toMillis();
            return this;
        }

        /**
         * Longest time between two reports, up to 60 s: while load, errors and usage do not change, the pause doubles up to it.
         * Default 30 s, or the interval if that is longer.
         */
        public Builder steady(Duration steady) {
            this.steadyMs = steady.toMillis();
            return this;
        }

        /**
         * Signs the messages with a key of signing.reporters or signing.keys of the nodes. The secret has at least 32 characters.
         * Throws IllegalArgumentException if the key is wrong.
         */
        public Builder signingKey(String id, String secret) {
            this.signingKey = new SigningKey(id, secret);
            return this;
        }

        /** Time between two messages with a status other than HEALTHY, for tests. */
        Builder repeat(Duration repeat) {
            this.repeatMs = repeat.toMillis();
            return this;
        }

        /** Says how busy the service is, 0 to 1. NaN: it is not known. */
        public Builder utilization(DoubleSupplier utilization) {
            this.utilization = utilization;
            return this;
        }

        /** Replaces the count of requests in progress. */
        public Builder inFlight(LongSupplier inFlight) {
            this.inFlight = inFlight;
            return this;
        }

        /** Leaves out CPU and memory, for processes that host more than this service. */
        public Builder withoutUsage() {
            this.usage = false;
            return this;
        }

        /** Returns the reporter. Nothing is sent before {@link Reporter#start}. Throws IllegalArgumentException if a setting is wrong. */
        public Reporter build() {
            return new Reporter(this);
        }
    }

    /** Starts to report. */
    public Reporter start() {
        if (!started.compareAndSet(false, true)) {
            throw new IllegalStateException("the reporter was started before");
        }
        thread.start();
        return this;
    }

    /** Says goodbye, delivers what is queued, and closes the publisher, within about 10 s. */
    @Override
    public void close() {
        close(Duration.ofSeconds(10));
    }

    /** As {@link #close()}, within about timeout. */
    public void close(Duration timeout) {
        long end = System.nanoTime() + timeout.toNanos();
        stopping.countDown();
        if (started.getAndSet(true)) {
            try {
                thread.join(Math.max(1, timeout.toMillis()));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
        synchronized (sending) {
            if (closed) {
                return;
            }
            closed = true;
        }
        publisher.close(Duration.ofNanos(Math.max(0, end - System.nanoTime())));
    }

    /** Counts one request that ended. */
    public void observe(Duration latency, boolean failed) {
        if (failed) {
            errors.increment();
        } else {
            latencies.incrementAndGet(Messages.place(latency.toNanos() / 1e6));
        }
    }

    /** Counts a request in progress: {@code try (var request = reporter.request()) { ... }}. */
    public Request request() {
        active.increment();
        long began = System.nanoTime();
        AtomicBoolean ended = new AtomicBoolean(), failed = new AtomicBoolean();
        return new Request() {
            @Override
            public void failed() {
                failed.set(true);
            }

            @Override
            public void close() {
                if (ended.compareAndSet(false, true)) {
                    active.decrement();
                    observe(Duration.ofNanos(System.nanoTime() - began), failed.get());
                }
            }
        };
    }

    /**
     * Sends a status on health-status. It is repeated until another status is sent. DRAINING pauses the instance: it gets no new
     * requests. HEALTHY ends that. It waits for the publisher, which KafkaPublisher makes short.
     */
    public void status(Status status) {
        synchronized (sending) {
            this.status = status;
            say();
        }
    }

    private void say() {
        synchronized (sending) {
            saidNs = System.nanoTime();
            long now = System.currentTimeMillis();
            publish(Messages.HEALTH_STATUS, Messages.status(identity, now, status), Map.of(), now);
        }
    }

    private void repeat() {
        synchronized (sending) {
            if (status != Status.HEALTHY && System.nanoTime() - saidNs >= repeatMs * 1_000_000) {
                say();
            }
        }
    }

    private void run() {
        if (identity.address() != null) {
            say();
        }
        long now = System.nanoTime();
        reportedNs = now - intervalMs * 1e6;
        if (usage != null) {
            usage.cpu(now);
        }
        look(now); // an empty report: readers multiply rates by the time since the report before
        while (!stopped((long) (intervalMs * ThreadLocalRandom.current().nextDouble(0.9, 1.1)))) {
            look(System.nanoTime());
        }
        if (identity.address() != null) {
            status(Status.DRAINING);
        }
    }

    /** Waits, and repeats the status meanwhile. Returns whether the reporter is being closed. */
    private boolean stopped(long ms) {
        long end = System.nanoTime() + ms * 1_000_000, left;
        try {
            while ((left = (end - System.nanoTime()) / 1_000_000) > 0) {
                if (stopping.await(Math.min(left, repeatMs), TimeUnit.MILLISECONDS)) {
                    return true;
                }
                repeat();
            }
            return stopping.getCount() == 0;
        } catch (InterruptedException e) { // the application ends this thread
            return true;
        }
    }

    /** Measures, and reports if a report is due. */
    private void look(long nowNs) {
        long requests = 0, errorsNow = errors.sumThenReset();
        for (int i = 0; i < counted.length; i++) {
            long n = latencies.getAndSet(i, 0);
            counted[i] += n;
            requests += n;
        }
        failed += errorsNow;
        double cpu = usage == null ? Double.NaN : usage.cpu(nowNs);
        if (pace.due(nowNs / 1e6, requests + errorsNow, errorsNow, cpu, Math.min(call(utilization), 1))) {
            report(nowNs);
        }
    }

    private void report(long nowNs) {
        long now = System.currentTimeMillis();
        double flying = call(inFlight == null ? null : () -> inFlight.getAsLong());
        long activeNow = Double.isNaN(flying) ? active.sum() : (long) flying;
        double spanMs = Math.max((nowNs - reportedNs) / 1e6, 1), requests = failed + Arrays.stream(counted).sum();
        var r = new Messages.Report(identity, now, spanMs, Messages.byBucket(counted), failed, activeNow, pace.cpu(), usage == null ? Double.NaN : usage.memory(), pace.utilization());
        pace.reported(nowNs / 1e6, requests / spanMs * 1000, requests == 0 ? 0 : failed / requests);
        reportedNs = nowNs;
        Arrays.fill(counted, 0);
        failed = 0;
        publish(Messages.SERVICE_METRICS, r.value(), r.headers(), now);
    }

    private void publish(String topic, byte[] value, Map<String, byte[]> headers, long now) {
        synchronized (sending) {
            if (closed) {
                return;
            }
            byte[] key = identity.serviceId().getBytes(StandardCharsets.UTF_8);
            Map<String, byte[]> all = new HashMap<>(headers);
            if (signingKey != null) {
                all.put(SigningKey.HEADER, signingKey.header(topic, key, value, now));
            }
            try {
                publisher.publish(topic, key, value, all, now);
            } catch (RuntimeException | Error e) { // a broken publisher must not end the reports
                complain("a message was lost", e);
            }
        }
    }

    /** Returns a number of the application, NaN if it is not known. */
    private double call(DoubleSupplier f) {
        if (f == null) {
            return Double.NaN;
        }
        try {
            double v = f.getAsDouble();
            return v >= 0 && v < 1e15 ? v : Double.NaN;
        } catch (RuntimeException | Error e) { // also an AssertionError or a StackOverflowError: the reports go on
            complain("a callback of the reporter failed; its number is not reported", e);
            return Double.NaN;
        }
    }

    private void complain(String what, Throwable e) {
        if (complained.compareAndSet(false, true)) {
            log.log(System.Logger.Level.WARNING, what, e);
        }
    }
}
