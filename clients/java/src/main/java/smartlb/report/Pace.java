package smartlb.report;

/**
 * When the next report is due. While load, errors and usage do not change, the pause between reports doubles, from interval up to
 * steady. Times are in milliseconds; a number that is not known is NaN. Nothing here reads a clock.
 */
final class Pace {
    // A report is due before its pause ends if one of these is exceeded. The package for Go has the same rules.
    private static final double USAGE_STEP = 0.15; // CPU or utilization differs by this from the last report
    private static final double ERROR_STEP = 0.2; // the share of failed requests differs by this from the last report
    private static final double RATE_SIGMAS = 6; // the number of requests is this many standard deviations from the number expected, and
    private static final double RATE_STEP = 0.5; // differs by this share of the expected number

    /** The mean of the measurements since the last report. */
    private static final class Mean {
        private double sum;
        private long n;

        void add(double v) {
            if (!Double.isNaN(v)) {
                sum += v;
                n++;
            }
        }

        double value() {
            return n == 0 ? Double.NaN : sum / n;
        }
    }

    private final double interval, steady;
    private double at = Double.NaN; // of the measurement before
    private double next, pause;
    private boolean changed;
    private double lastRps, lastFailed, lastCpu, lastUtilization;
    private Mean cpu = new Mean(), utilization = new Mean();

    Pace(double interval, double steady) {
        this.interval = interval;
        this.steady = steady;
    }

    /** Notes a measurement: the requests and failures since the one before, and the usage. Returns whether a report is due. */
    boolean due(double now, long requests, long errors, double cpu, double utilization) {
        this.cpu.add(cpu);
        this.utilization.add(utilization);
        changed = Double.isNaN(at) || differs(now - at, requests, errors, cpu, utilization);
        at = now;
        return changed || now >= next - interval / 2;
    }

    private boolean differs(double spanMs, long requests, long errors, double cpu, double utilization) {
        if (apart(cpu, lastCpu) || apart(utilization, lastUtilization)) {
            return true;
        }
        double expected = lastRps * spanMs / 1000, off = Math.abs(requests - expected);
        if (off > RATE_SIGMAS * Math.sqrt(Math.max(Math.max(requests, expected), 1)) && off > RATE_STEP * expected) {
            return true;
        }
        return requests > 0 && Math.abs((double) errors / requests - lastFailed) >= ERROR_STEP;
    }

    private static boolean apart(double a, double b) {
        if (Double.isNaN(a) || Double.isNaN(b)) {
            return Double.isNaN(a) != Double.isNaN(b);
        }
        return Math.abs(a - b) >= USAGE_STEP;
    }

    /** Returns the mean CPU since the last report. */
    double cpu() {
        return cpu.value();
    }

    /** Returns the mean utilization since the last report. */
    double utilization() {
        return utilization.value();
    }

    /** Notes that a report was sent: requests per second and the share of failures since the one before. */
    void reported(double now, double rps, double failed) {
        pause = Math.min(2 * pause, steady);
        if (changed || pause < interval) {
            pause = interval;
        }
        next = now + pause;
        lastRps = rps;
        lastFailed = failed;
        lastCpu = cpu();
        lastUtilization = utilization();
        cpu = new Mean();
        utilization = new Mean();
    }
}
