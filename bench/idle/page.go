package main

import (
	"fmt"
	"runtime"
	"time"

	"github.com/smartlb/smartlb/bench/rig"
)

var cpus = runtime.NumCPU()

func page(smartlb, results string, settle, span time.Duration, all []sample) error {
	r := &rig.Report{Name: "idle"}
	r.Printf("# The demo at rest\n\n")
	r.Versions(fmt.Sprintf("go run ./bench/idle -runs %d -settle %s -span %s", len(all)/2, settle, span), smartlb)
	r.Printf(`smartlb up --demo on an empty directory, nobody at the console: the process with proxy and analyzer, the console, the broker, eleven instances that report each second.
At rest: --demo-rate 0, no requests but health checks. Gentle load: the default, 20 requests a second; the load process is not in the sums.
Read %s after it was ready, over %s. PSS from smaps_rollup (pages that n processes share count 1/n), CPU from schedstat, as a share of one core.
Ready: from exec until /readyz is 200 and a request through the proxy is answered by an instance. Median (lowest..highest).

| | target at rest | at rest | | gentle load | |
|---|---|---|---|---|---|
`, settle, span)
	row := func(what, format string, target float64, of func(sample) float64) {
		r.Printf("| %s | "+format+" |", what, target)
		for _, rate := range []int{0, 1} {
			s := column(all, rate, of)
			verdict := "within"
			if s.Median > target {
				verdict = "above"
			}
			r.Printf(" "+format+" ("+format+".."+format+") | %s |", s.Median, s.Min, s.Max, verdict)
		}
		r.Printf("\n")
	}
	row("PSS, MiB", "%.1f", mib(int64(maxPSS)), func(s sample) float64 { return mib(s.PSS) })
	row("CPU, % of a core", "%.2f", 100*maxCPU, func(s sample) float64 { return 100 * s.CPU })
	row("ready, s", "%.2f", maxReady, func(s sample) float64 { return s.Ready })
	last := all[len(all)-1]
	r.Printf("\nThe last start with the gentle load, by process:\n\n| process | PSS, MiB | CPU, %% of a core |\n|---|---|---|\n")
	for _, p := range append(last.Processes, last.Load) {
		r.Printf("| %s | %.1f | %.2f |\n", p.Name, mib(p.PSS), 100*p.CPU)
	}
	r.Printf("\nShare of the machine that others used, run by run:")
	for _, s := range all {
		r.Printf(" %.0f %%", 100*s.Foreign)
	}
	r.Printf(".\n")
	r.Printf(`
## Not covered
An open console (each costs a stream), growth over days, a data directory with history (ready takes longer by the time to read it).
`)
	return r.Write(results, all)
}
