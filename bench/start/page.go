package main

import (
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"

	"github.com/smartlb/smartlb/bench/rig"
	"github.com/smartlb/smartlb/bench/stats"
)

// goals by kind: seconds of a start, and MiB of all processes.
var goals = map[string]struct{ start, rss float64 }{
	"embedded": {.3, 0}, "zookeeper": {6, 600}, "kraft": {5, 0},
}

// Goals of all kinds, in seconds.
const (
	goalStop     = 10
	goalRecovery = 5
)

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func (s sample) total() (n int64) {
	for _, b := range s.RSS {
		n += b
	}
	return n
}

func page(smartlb, results string, runs int, all []sample) error {
	r := &rig.Report{Name: "kafka-start"}
	r.Printf("# Starting the Kafka stack\n\n")
	r.Versions(fmt.Sprintf("go run ./bench/start -runs %d", runs), smartlb)
	java, _ := exec.Command("java", "-version").CombinedOutput()
	first, _, _ := strings.Cut(string(java), "\n")
	r.Printf(`Java: %s. zookeeper is ZooKeeper 3.8 with Kafka 3.9, kraft Kafka 4.3, both with Connect, the twelve topics and the web UI; embedded is smartlb's broker and the UI.
Installed before, class data archives made. First: smartlb kafka start on an empty folder, from exec to its end, when all is healthy (each partition of the catalog has a
leader, Connect lists connectors, the UI serves its page). Again: on that data, after a stop. Memory: resident, of all processes and the supervisor, after that.
Recovery: from kill -9 of the broker to the first record that a fresh client gets acknowledged. The machine was not quiet; scheduling: %s.
Median (lowest..highest) of %d.

| | goal | embedded | zookeeper | kraft |
|---|---|---|---|---|
`, first, rig.Scheduling(), runs)
	row(r, all, "first start, s", "0.3 / 6 / 5", "%.2f", func(s sample) float64 { return s.First }, func(k string) float64 { return goals[k].start })
	row(r, all, "again, s", "0.3 / 6 / 5", "%.2f", func(s sample) float64 { return s.Again }, func(k string) float64 { return goals[k].start })
	row(r, all, "memory, MiB", "- / 600 / -", "%.0f", func(s sample) float64 { return mib(s.total()) }, func(k string) float64 { return goals[k].rss })
	row(r, all, "recovery, s", fmt.Sprint(goalRecovery), "%.2f", func(s sample) float64 { return s.Recovery }, func(string) float64 { return goalRecovery })
	row(r, all, "stop, s", fmt.Sprint(goalStop), "%.2f", func(s sample) float64 { return s.Stop }, func(string) float64 { return goalStop })
	r.Printf("\nMemory by process in the last run, MiB:\n\n")
	for _, k := range kinds {
		of := all[slices.IndexFunc(all, func(s sample) bool { return s.Kind == k.name })].RSS
		for _, s := range all {
			if s.Kind == k.name {
				of = s.RSS
			}
		}
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(of)) {
			parts = append(parts, fmt.Sprintf("%s %.0f", name, mib(of[name])))
		}
		r.Printf("- %s: %s\n", k.name, strings.Join(parts, ", "))
	}
	return r.Write(results, all)
}

// row prints one figure of all kinds. A goal of 0 is none.
func row(r *rig.Report, all []sample, what, goal, format string, of func(sample) float64, limit func(kind string) float64) {
	r.Printf("| %s | %s |", what, goal)
	for _, k := range kinds {
		var values []float64
		for _, s := range all {
			if s.Kind == k.name {
				values = append(values, of(s))
			}
		}
		sum := stats.Summarize(values)
		if sum.Max == 0 {
			r.Printf(" - |")
			continue
		}
		verdict := ""
		if g := limit(k.name); g > 0 && sum.Median <= g {
			verdict = ", within"
		} else if g > 0 {
			verdict = ", above"
		}
		r.Printf(" "+format+" ("+format+".."+format+")%s |", sum.Median, sum.Min, sum.Max, verdict)
	}
	r.Printf("\n")
}
