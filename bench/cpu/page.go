package main

import (
	"fmt"
	"path/filepath"
	"sort"

	"github.com/smartlb/smartlb/bench/rig"
	"github.com/smartlb/smartlb/bench/stats"
)

// pageOf writes the page of a mode.
func pageOf(m mode, smartlb, results string, rounds int, all []round) error {
	r := &rig.Report{Name: "cpu-" + m.name}
	r.Printf("# %s\n\n", m.title)
	r.Versions(fmt.Sprintf("go run ./bench/cpu -mode %s -rounds %d", m.name, rounds), smartlb)
	r.Printf(`Load: %s All on the same machine. Otherwise as cpu.md: access log, X-Forwarded-For, X-Request-ID, kept upstream connections, smartlb with
telemetry. A round is one slice of 2 s of each in turning order; ratios are paired within rounds: median (lowest..highest). Every request of every slice got its 200.

Goal: %s

| proxy | CPU us/%[3]s | to HAProxy | to nginx | %[3]ss/s | rounds | highest foreign CPU |
|---|---|---|---|---|---|---|
`, m.load, m.goal, m.unit)
	foreign := 0.0
	for _, x := range all {
		foreign = max(foreign, x.Foreign)
	}
	micros := func(s slice) float64 { return s.MicrosCPU }
	for i := range all[0].Slices {
		cpu, rate := stats.Summarize(column(all, i, micros)), stats.Summarize(column(all, i, func(s slice) float64 { return s.Rate }))
		haproxy := ratios(all, i)
		nginx := stats.Summarize(stats.PairedRatios(column(all, i, micros), column(all, 2, micros)))
		r.Printf("| %s | %.1f (%.1f..%.1f) | %.2f (%.2f..%.2f) | %.2f (%.2f..%.2f) | %.0f | %d | %.0f %% |\n", all[0].Slices[i].Contender,
			cpu.Median, cpu.Min, cpu.Max, haproxy.Median, haproxy.Min, haproxy.Max, nginx.Median, nginx.Min, nginx.Max, rate.Median, len(all), 100*foreign)
	}
	dir, err := filepath.Abs(results)
	if err != nil {
		return err
	}
	return r.Write(dir, all)
}

func pagePolicies(m mode, smartlb, results string, rounds int, all []round) error {
	r := &rig.Report{Name: "cpu-" + m.name}
	r.Printf("# %s\n\n", m.title)
	r.Versions(fmt.Sprintf("go run ./bench/cpu -mode %s -rounds %d", m.name, rounds), smartlb)
	r.Printf(`Load: %s Both proxies are the same build, with access log, histograms and telemetry to Kafka; one has an edit of a request header with
a variable, an edit of a response header, and a rate limit by client address. A round is one slice of 2 s of each in turning order; ratios are paired within
rounds: median (lowest..highest). Every request of every slice got its 200.

Goal: %s

| proxy | CPU us/request | to the plain run | requests/s | rounds | highest foreign CPU |
|---|---|---|---|---|---|
`, m.load, m.goal)
	foreign := 0.0
	for _, x := range all {
		foreign = max(foreign, x.Foreign)
	}
	for i := range all[0].Slices {
		cpu, rate := stats.Summarize(column(all, i, func(s slice) float64 { return s.MicrosCPU })), stats.Summarize(column(all, i, func(s slice) float64 { return s.Rate }))
		plain := ratios(all, i)
		r.Printf("| %s | %.1f (%.1f..%.1f) | %.2f (%.2f..%.2f) | %.0f | %d | %.0f %% |\n", all[0].Slices[i].Contender,
			cpu.Median, cpu.Min, cpu.Max, plain.Median, plain.Min, plain.Max, rate.Median, len(all), 100*foreign)
	}
	dir, err := filepath.Abs(results)
	if err != nil {
		return err
	}
	return r.Write(dir, all)
}

func page(smartlb, results string, rounds int, points []int, all map[int][]round, st steady, calls map[string]float64) error {
	r := &rig.Report{Name: "cpu"}
	r.Printf("# CPU per proxied request\n\n")
	r.Versions(fmt.Sprintf("go run ./bench/cpu -rounds %d", rounds), smartlb)
	r.Printf(`wrk (one thread, closed loop, connections kept) through each proxy to one nginx that answers 200 with 64 bytes on four ports, all on the same machine.
All: access log, X-Forwarded-For, X-Request-ID, kept upstream connections. smartlb: policy adaptive, --kafka to a broker process of its own (its CPU is not in the
figures, see below), metrics each second, 1 %% of decisions. HAProxy: nbthread 2, leastconn, http-reuse always, log by UDP to a sink. nginx: 2 workers, least_conn, log as JSON in a file, buffered by 64 KiB.
CPU is the sum of schedstat over the threads of the proxy's processes. A round is one slice of each (2 s at c=32, else 1 s) in turning order. Rounds were measured
until enough had less than %.0f %% of the machine used by others, at most twice as many; the least disturbed ones are in the table. Ratios are paired within rounds: median (lowest..highest).

Targets: at most 1.10 times HAProxy at c=32, at most 6.5 system calls and no allocation per request.

| connections | proxy | CPU us/request | to HAProxy | requests/s | context switches/request | rounds | highest foreign CPU |
|---|---|---|---|---|---|---|---|
`, 100*maxForeign)
	for _, c := range points {
		rs := all[c]
		foreign := 0.0
		for _, x := range rs {
			foreign = max(foreign, x.Foreign)
		}
		for i := range rs[0].Slices {
			micros := stats.Summarize(column(rs, i, func(s slice) float64 { return s.MicrosCPU }))
			rate := stats.Summarize(column(rs, i, func(s slice) float64 { return s.Rate }))
			switches := stats.Summarize(column(rs, i, func(s slice) float64 { return s.Switches }))
			ratio := ratios(rs, i)
			r.Printf("| %d | %s | %.1f (%.1f..%.1f) | %.2f (%.2f..%.2f) | %.0f | %.2f | %d | %.0f %% |\n", c, rs[0].Slices[i].Contender,
				micros.Median, micros.Min, micros.Max, ratio.Median, ratio.Min, ratio.Max, rate.Median, switches.Median, len(rs), 100*foreign)
		}
	}
	r.Printf("\nErrors: 0 in every slice (any error ends the run); bodies equal to the origin's before and after.\n\n")
	if len(calls) > 0 {
		r.Printf("System calls per request, c=32 (perf, raw_syscalls:sys_enter, one slice of 3 s):")
		for _, n := range []string{"smartlb", "HAProxy", "nginx"} {
			r.Printf(" %s %.2f", n, calls[n])
		}
		r.Printf(".\n\n")
	}
	r.Printf("smartlb over %.0f s at c=32, %d requests (its own /metrics, and the topics' message counts before and after):\n\n| | |\n|---|---|\n", st.Seconds, st.Requests)
	r.Printf("| heap objects per request, whole process | %.4f |\n", st.Mallocs)
	r.Printf("| the same without what the idle process allocates (%.0f/s) | %.4f, which is %.0f per sampled decision |\n", st.IdleMallocs, st.NetMallocs, st.PerDecision)
	r.Printf("| a second proxy without Kafka, access log on, %d requests: heap objects per request | %.5f |\n", st.NoSampleRequests, st.NoSampleMallocs)
	r.Printf("| garbage collections | %.0f |\n", st.GCs)
	r.Printf("| service-metrics per instance and second | %.2f (%.0f messages) |\n", st.SharePerSec, st.Messages["service-metrics"])
	which := "the 1 % sample; on average below the cap of 500/s; what a burst lost is counted below"
	if st.DecisionRate > 480 {
		which = "the cap of 500/s, not the sample"
	}
	r.Printf("| routing-decisions | %.3f %% of requests, %.0f/s: %s |\n", 100*st.DecisionShare, st.DecisionRate, which)
	r.Printf("| lost in queues, counted | %.0f |\n", st.Dropped)
	r.Printf("| CPU of the broker process per request | %.2f us |\n", st.BrokerMicros)
	r.Printf("| resident memory after the run | %.1f MiB |\n\n", st.RSS/(1<<20))
	topics := make([]string, 0, len(st.Messages))
	for t := range st.Messages {
		topics = append(topics, t)
	}
	sort.Strings(topics)
	r.Printf("Topics that grew:")
	for _, t := range topics {
		r.Printf(" %s +%.0f", t, st.Messages[t])
	}
	r.Printf(".\n\n")
	r.Printf(`## Not covered
Offered load below saturation; bodies above 64 bytes; TLS; several machines. Load, origin, proxy and broker share the CPUs: microseconds do not
transfer to another machine, ratios mostly do. At c=1 idle wake-ups dominate. A proxy that answers faster gets more requests from a closed loop, and batches less per wake-up.
`)
	raw := struct {
		Rounds   map[int][]round
		Steady   steady
		Syscalls map[string]float64
	}{all, st, calls}
	dir, err := filepath.Abs(results)
	if err != nil {
		return err
	}
	return r.Write(dir, raw)
}
