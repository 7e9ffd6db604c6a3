package smartlb.report;

import java.time.Duration;
import java.util.Map;

/** Sends messages. Calls are not concurrent, and come from threads of the {@link Reporter}. */
public interface Publisher {
    /** Sends a message. It must not throw. A reporter waits for it, but the service does not. */
    void publish(String topic, byte[] key, byte[] value, Map<String, byte[]> headers, long timeMs);

    /** Delivers what is queued within a time, and drops the rest. */
    default void close(Duration timeout) {}
}
