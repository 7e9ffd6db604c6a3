// Cpu measures the CPU time that a proxied request costs: smartlb with
// telemetry and access log on, HAProxy and nginx with theirs, in alternating
// slices of one run, so that what disturbs the machine disturbs all. What is
// reported is the ratio within a round.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/smartlb/smartlb/bench/rig"
	"github.com/smartlb/smartlb/bench/stats"
)

var cpus = runtime.NumCPU()

// maxForeign is the share of the machine that others may use during a slice
// before its round is measured again.
const maxForeign = .10

func main() {
	smartlb := flag.String("smartlb", "bin/smartlb", "the binary to measure")
	results := flag.String("results", "bench/results", "where to write")
	rounds := flag.Int("rounds", 9, "undisturbed rounds per load point")
	name := flag.String("mode", "", "what to measure instead of kept connections of HTTP/1.1: http2, tls, tls-full, tls-resumed, body-64k, body-1m, tls-body-64k, tls-body-1m, idle, tls-idle, latency, policies, grpc")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *smartlb, *results, *name, *rounds); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, smartlb, results, name string, rounds int) error {
	dir, err := os.MkdirTemp("", "smartlb-bench-cpu")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o777); err != nil { // nginx workers run as another user
		return err
	}
	if smartlb, err = filepath.Abs(smartlb); err != nil {
		return err
	}
	s := &stage{dir: dir, smartlb: smartlb}
	if name != "" {
		if s.mode, err = modeOf(name); err != nil {
			return err
		}
	}
	defer s.Close()
	if err := s.setup(ctx); err != nil {
		return err
	}
	all := map[int][]round{}
	if s.mode.idle {
		rest, err := s.idle(ctx)
		if err != nil {
			return err
		}
		return pageIdle(s.mode, smartlb, results, rest)
	}
	if s.mode.open {
		rate, slices, err := s.latency(ctx, rounds)
		if err != nil {
			return err
		}
		return pageLatency(s.mode, smartlb, results, rate, slices)
	}
	if c := s.mode.conns; c > 0 {
		if all[c], err = s.rounds(ctx, c, rounds, 2*time.Second); err != nil {
			return err
		}
		if s.mode.policies {
			return pagePolicies(s.mode, smartlb, results, rounds, all[c])
		}
		return pageOf(s.mode, smartlb, results, rounds, all[c])
	}
	if err := s.sameBodies(ctx); err != nil {
		return err
	}
	points := []int{32, 1, 8, 256}
	for _, c := range points {
		span := time.Second
		if c == 32 {
			span = 2 * time.Second
		}
		if all[c], err = s.rounds(ctx, c, rounds, span); err != nil {
			return err
		}
	}
	steady, err := s.steady(ctx, 10*time.Second)
	if err != nil {
		return err
	}
	calls, err := s.syscalls(ctx)
	if err != nil {
		return err
	}
	if err := s.sameBodies(ctx); err != nil {
		return err
	}
	for _, p := range s.all {
		if !p.Alive() {
			return fmt.Errorf("%s ended meanwhile", p.Name)
		}
	}
	return page(smartlb, results, rounds, points, all, steady, calls)
}

// sameBodies asserts that all contenders give the origin's answer.
func (s *stage) sameBodies(ctx context.Context) error {
	want, err := rig.Get(ctx, "http://"+s.instances[0]+"/")
	if err != nil {
		return err
	}
	for _, c := range s.contenders {
		if got, err := rig.Get(ctx, c.URL); err != nil || got != want {
			return fmt.Errorf("%s: body %q, %w; the origin's is %q", c.Name, got, err, want)
		}
	}
	return nil
}

// round is one slice of each contender, in the order of stage.contenders.
type round struct {
	Slices  []slice
	Foreign float64 // the highest of its slices
}

// rounds measures until enough rounds were undisturbed, at most twice as
// many; then the least disturbed ones are taken. The order within a round
// turns, so that no contender always comes after the same one.
func (s *stage) rounds(ctx context.Context, c, want int, span time.Duration) ([]round, error) {
	for _, x := range s.contenders {
		if _, err := s.measure(ctx, x, c, time.Second); err != nil { // warm
			return nil, err
		}
	}
	var all []round
	for clean := 0; clean < want && len(all) < 2*want; {
		r := round{Slices: make([]slice, len(s.contenders))}
		for i := range s.contenders {
			at := (i + len(all)) % len(s.contenders)
			one, err := s.measure(ctx, s.contenders[at], c, span)
			if err != nil {
				return nil, err
			}
			r.Slices[at], r.Foreign = one, max(r.Foreign, one.Foreign)
		}
		all = append(all, r)
		if r.Foreign <= maxForeign {
			clean++
		}
		fmt.Fprintf(os.Stderr, "c=%d round %d: %s, foreign CPU %.0f %%\n", c, len(all), r, 100*r.Foreign)
	}
	slices.SortStableFunc(all, func(a, b round) int {
		switch {
		case a.Foreign < b.Foreign:
			return -1
		case a.Foreign > b.Foreign:
			return 1
		}
		return 0
	})
	return all[:min(want, len(all))], nil
}

func (r round) String() (text string) {
	for i, s := range r.Slices {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s %.1f us (%.0f/s)", s.Contender, s.MicrosCPU, s.Rate)
	}
	return text
}

// column gives one figure of one contender over rounds.
func column(rounds []round, at int, of func(slice) float64) []float64 {
	out := make([]float64, 0, len(rounds))
	for _, r := range rounds {
		out = append(out, of(r.Slices[at]))
	}
	return out
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ratios(rounds []round, at int) stats.Summary {
	micros := func(s slice) float64 { return s.MicrosCPU }
	return stats.Summarize(stats.PairedRatios(column(rounds, at, micros), column(rounds, 1, micros)))
}
