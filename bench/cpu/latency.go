package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/bench/openload"
	"github.com/smartlb/smartlb/bench/rig"
	"github.com/smartlb/smartlb/bench/stats"
)

const (
	latencyWarm = time.Second     // of each slice, not counted
	latencySpan = 3 * time.Second // of each slice, counted
)

// timed is what clients of one proxy saw in one slice, in microseconds from the intended time of each request; the first of a
// round are clients of the origin.
type timed struct {
	Contender      string
	P50, P99, P999 float64
	LagP99         float64 // how late the harness was
	Busy, Foreign  float64 // shares of the machine
}

// latency offers requests at random times to the origin and to each proxy in turning order, at the rate at which the machine is
// half busy with the most expensive proxy. It returns the rate and, for each undisturbed round, the origin and then the proxies.
func (s *stage) latency(ctx context.Context, want int) (rate float64, all [][]timed, err error) {
	const trial = 5_000 // requests/s
	busiest := 0.0
	for _, c := range s.contenders {
		for range 2 { // the first one warms
			t, err := s.offer(ctx, c, stats.Schedule(rand.New(rand.NewPCG(0, 0)), trial, latencyWarm+latencySpan))
			if err != nil {
				return 0, nil, fmt.Errorf("%s: %w", c.Name, err)
			}
			busiest = max(busiest, t.Busy)
		}
	}
	rate = trial * .5 / busiest
	who := append([]contender{{Name: "no proxy", URL: "http://" + s.instances[0] + "/"}}, s.contenders...)
	clean := 0
	for n := 0; clean < want && n < 2*want; n++ {
		schedule := stats.Schedule(rand.New(rand.NewPCG(uint64(n), 1<<32)), rate, latencyWarm+latencySpan)
		r := make([]timed, len(who))
		foreign := 0.0
		for i := range who {
			at := (i + n) % len(who)
			if r[at], err = s.offer(ctx, who[at], schedule); err != nil {
				return 0, nil, fmt.Errorf("%s: %w", who[at].Name, err)
			}
			foreign = max(foreign, r[at].Foreign)
		}
		fmt.Fprintf(os.Stderr, "round %d at %.0f/s: %v\n", n+1, rate, r)
		all = append(all, r)
		if foreign <= maxForeign {
			clean++
		}
	}
	disturbed := func(r []timed) float64 {
		return slices.MaxFunc(r, func(a, b timed) int { return cmp.Compare(a.Foreign, b.Foreign) }).Foreign
	}
	slices.SortStableFunc(all, func(a, b []timed) int { return cmp.Compare(disturbed(a), disturbed(b)) })
	return rate, all[:min(want, len(all))], nil
}

// offer runs one slice.
func (s *stage) offer(ctx context.Context, c contender, schedule []time.Duration) (timed, error) {
	pids := s.pids()
	known, busy := rig.CPU(pids...), must(rig.Busy())
	began := time.Now()
	answers, err := openload.Run(ctx, strings.TrimSuffix(strings.TrimPrefix(c.URL, "http://"), "/"), began, schedule)
	if err != nil {
		return timed{}, err
	}
	busy = must(rig.Busy()) - busy
	whole := time.Since(began).Seconds() * float64(cpus)
	t := timed{Contender: c.Name, Busy: busy.Seconds() / whole, Foreign: max(0, (busy-(rig.CPU(pids...)-known)).Seconds()/whole)}
	var latency, lag []float64
	for _, a := range answers {
		if a.Status != 200 {
			return timed{}, fmt.Errorf("a request got status %d", a.Status)
		}
		if a.Intended >= latencyWarm {
			latency, lag = append(latency, float64(a.Latency.Nanoseconds())/1e3), append(lag, float64(a.Lag.Nanoseconds())/1e3)
		}
	}
	if len(latency) == 0 {
		return timed{}, errors.New("no request was sent")
	}
	t.P50, t.P99, t.P999, t.LagP99 = stats.Quantile(latency, .5), stats.Quantile(latency, .99), stats.Quantile(latency, .999), stats.Quantile(lag, .99)
	return t, nil
}

func pageLatency(m mode, smartlb, results string, rate float64, all [][]timed) error {
	r := &rig.Report{Name: "cpu-" + m.name}
	r.Printf("# %s\n\n", m.title)
	r.Versions(fmt.Sprintf("go run ./bench/cpu -mode %s -rounds %d", m.name, len(all)), smartlb)
	r.Printf(`Load: %s At this rate: %.0f requests/s. Otherwise as cpu.md: access log, X-Forwarded-For, X-Request-ID, kept upstream connections, smartlb
with telemetry. A round is one slice of %s for each in turning order, after %s that do not count; all slices of a round have the same times. A latency counts from the
time at which the request was meant to be sent. Added is the difference to the slice without a proxy in the same round. Median (lowest..highest) of %d rounds, in
microseconds. Every request of every slice got its 200.

Goal: %s

| proxy | p50 | p99 | p99.9 | p50 added | p99 added | p99 added, to HAProxy | p99 lag of the load | busy | highest foreign CPU |
|---|---|---|---|---|---|---|---|---|---|
`, m.load, rate, latencySpan, latencyWarm, len(all), m.goal)
	for i := range all[0] {
		of := func(f func(r []timed) float64) stats.Summary {
			var values []float64
			for _, r := range all {
				values = append(values, f(r))
			}
			return stats.Summarize(values)
		}
		show := func(x stats.Summary) string { return fmt.Sprintf("%.0f (%.0f..%.0f)", x.Median, x.Min, x.Max) }
		added, p99, ratio := "", "", ""
		if i > 0 {
			added = show(of(func(r []timed) float64 { return r[i].P50 - r[0].P50 }))
			p99 = show(of(func(r []timed) float64 { return r[i].P99 - r[0].P99 }))
			x := of(func(r []timed) float64 { return (r[i].P99 - r[0].P99) / (r[2].P99 - r[0].P99) })
			ratio = fmt.Sprintf("%.2f (%.2f..%.2f)", x.Median, x.Min, x.Max)
		}
		r.Printf("| %s | %s | %s | %s | %s | %s | %s | %.0f | %.0f %% | %.0f %% |\n", all[0][i].Contender,
			show(of(func(r []timed) float64 { return r[i].P50 })), show(of(func(r []timed) float64 { return r[i].P99 })), show(of(func(r []timed) float64 { return r[i].P999 })),
			added, p99, ratio, of(func(r []timed) float64 { return r[i].LagP99 }).Median, 100*of(func(r []timed) float64 { return r[i].Busy }).Median, 100*of(func(r []timed) float64 { return r[i].Foreign }).Max)
	}
	dir, err := filepath.Abs(results)
	if err != nil {
		return err
	}
	return r.Write(dir, all)
}
