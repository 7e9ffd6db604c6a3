package smartlb.report;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.ToDoubleFunction;

/**
 * CPU and memory of the process, as a share of what its cgroup (version 2) or else the machine permits. Linux only. Numbers that
 * are not known are NaN. It is not safe for concurrent use.
 */
final class Usage {
    private final Path root;
    final double cores;
    final double limit;
    private double lastNs = Double.NaN, lastUsedNs;

    /** root is replaced by tests only. */
    Usage(Path root) {
        this.root = root;
        String group = "/";
        for (String line : read("proc/self/cgroup").split("\n")) {
            if (line.startsWith("0::/")) {
                group = line.substring(3).strip();
            }
        }
        cores = Math.min(Runtime.getRuntime().availableProcessors(), tightest(group, "cpu.max", Usage::cpuMax));
        double total = kilobytes("proc/meminfo", "MemTotal:");
        limit = Math.min(Double.isNaN(total) ? Double.POSITIVE_INFINITY : total, tightest(group, "memory.max", Usage::number));
    }

    /** Returns the share of the CPU used since the previous call, NaN at the first call. */
    double cpu(double nowNs) {
        double used = Double.NaN;
        if (ManagementFactory.getOperatingSystemMXBean() instanceof com.sun.management.OperatingSystemMXBean os) {
            used = os.getProcessCpuTime();
        }
        double share = Math.min((used - lastUsedNs) / (nowNs - lastNs) / cores, 1);
        boolean known = nowNs > lastNs; // false for NaN
        lastNs = nowNs;
        lastUsedNs = used;
        return known && share >= 0 ? share : Double.NaN;
    }

    /** Returns the share of the memory used. */
    double memory() {
        return Double.isInfinite(limit) ? Double.NaN : Math.min(kilobytes("proc/self/status", "VmRSS:") / limit, 1);
    }

    private String read(String name) {
        try {
            return Files.readString(root.resolve(name), StandardCharsets.ISO_8859_1);
        } catch (IOException | RuntimeException e) {
            return "";
        }
    }

    /** Returns the smallest limit between the group and the root, which is the one in effect; infinite: there is none. */
    private double tightest(String group, String name, ToDoubleFunction<String> parse) {
        double least = Double.POSITIVE_INFINITY;
        for (Path at = Path.of("/").resolve(group).normalize(); at != null; at = at.getParent()) {
            double v = parse.applyAsDouble(read("sys/fs/cgroup" + (at.getNameCount() == 0 ? "" : at) + "/" + name).strip());
            if (v > 0 && v < least) {
                least = v;
            }
        }
        return least;
    }

    private double kilobytes(String name, String key) {
        for (String line : read(name).split("\n")) {
            String[] words = line.split("\\s+");
            if (words.length >= 2 && words[0].equals(key)) {
                return number(words[1]) * 1024;
            }
        }
        return Double.NaN;
    }

    private static double cpuMax(String s) {
        String[] words = s.split(" ");
        return words.length == 2 ? number(words[0]) / number(words[1]) : Double.NaN;
    }

    private static double number(String s) {
        return s.matches("[0-9]{1,18}") ? Double.parseDouble(s) : Double.NaN;
    }
}
