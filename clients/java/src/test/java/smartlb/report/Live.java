package smartlb.report;

import java.time.Duration;

/** An instance that reports to a broker until SIGTERM; or, without an address, the counts of a publisher whose broker is dead. */
final class Live {
    public static void main(String[] args) throws InterruptedException {
        KafkaPublisher publisher = new KafkaPublisher(args[0]);
        if (args.length < 5) {
            for (int i = 0; i < 700; i++) {
                publisher.publish("service-metrics", new byte[1], new byte[1], java.util.Map.of(), System.currentTimeMillis());
            }
            publisher.close(Duration.ofSeconds(1));
            System.out.printf("%d %d %d%n", publisher.published(), publisher.delivered(), publisher.dropped());
            System.exit(0);
        }
        Reporter r = Reporter.of(args[1], args[2], publisher).address(args[3]).interval(Duration.ofMillis(200)).utilization(() -> 0.5).signingKey("live-team", args[4]).build().start();
        Runtime.getRuntime().addShutdownHook(new Thread(r::close));
        for (;; Thread.sleep(20)) {
            r.observe(Duration.ofMillis(20), false);
        }
    }
}
