"""An instance that reports to a broker until SIGTERM; or, without an address, the counts of a publisher whose broker is dead."""

import signal
import sys
import threading
import time

from smartlb_report import Reporter
from smartlb_report.kafka import KafkaPublisher

publisher = KafkaPublisher(sys.argv[1])
if len(sys.argv) < 5:
    for _ in range(700):
        publisher.publish("service-metrics", b"k", b"v", [], int(time.time() * 1000))
    publisher.close(1)
    print(publisher.stats.published, publisher.stats.delivered, publisher.stats.dropped)
    sys.exit()
_, _, service, instance, address, secret = sys.argv
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
reporter = Reporter(service, instance, publisher, address=address, interval=0.2, utilization=lambda: 0.5, signing_key=("live-team", secret))
reporter.start()
while not stop.wait(0.02):
    reporter.observe(0.02)
reporter.close()
