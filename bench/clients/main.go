// Command clients compares `smartlb kafka` with kcat on one broker, in pairs:
// each contender sends the same lines, and reads the same topic, in turn, and
// the ratios of the pairs are what is printed, because machines are shared. It
// also times listings of a thousand topics.
//
//	go run ./bench/clients -smartlb bin/smartlb -broker 127.0.0.1:9092
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

type rig struct {
	program, broker, lines string
	records, pairs         int
}

func main() {
	var r rig
	flag.StringVar(&r.program, "smartlb", "bin/smartlb", "binary")
	flag.StringVar(&r.broker, "broker", "", "host:port")
	flag.IntVar(&r.records, "records", 500_000, "lines of each run")
	flag.IntVar(&r.pairs, "pairs", 7, "pairs of runs")
	flag.Parse()
	if err := r.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (r rig) run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "bench-clients")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r.lines = filepath.Join(dir, "lines")
	if err := r.write(); err != nil {
		return err
	}
	fmt.Printf("| what | smartlb, s (CPU s) | kcat, s (CPU s) | speed against kcat, median of %d pairs (wall) | (CPU) |\n|---|---|---|---|---|\n", r.pairs)
	for _, codec := range []string{"none", "lz4", "zstd"} {
		name := fmt.Sprintf("bench-clients-%d", rand.Uint32())
		if err := r.kafka(ctx, "topics", "create", name, "-p", "3", "-c", "retention.ms=1h"); err != nil {
			return err
		}
		send := []contender{
			{r.program, []string{"kafka", "produce", name, "-z", codec, "-b", r.broker}, r.lines},
			{"kcat", []string{"-b", r.broker, "-P", "-t", name, "-z", codec, "-l", r.lines}, ""},
		}
		if err := r.compare(ctx, "produce, "+codec, send); err != nil {
			return err
		}
		read := []contender{
			{r.program, []string{"kafka", "consume", name, "--from-beginning", "-b", r.broker}, ""},
			{"kcat", []string{"-b", r.broker, "-C", "-e", "-q", "-t", name, "-o", "beginning"}, ""},
		}
		if err := r.compare(ctx, fmt.Sprintf("consume %d records, %s", r.records*2*r.pairs, codec), read); err != nil {
			return err
		}
		if err := r.kafka(ctx, "topics", "delete", name, "--execute"); err != nil {
			return err
		}
	}
	return r.list(ctx, dir)
}

func (r rig) kafka(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, r.program, append(append([]string{"kafka"}, args...), "-b", r.broker)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%v: %w: %s", args, err, out)
	}
	return nil
}

// write makes lines as a fleet of 200 instances reports them.
func (r rig) write() error {
	f, err := os.Create(r.lines)
	if err != nil {
		return err
	}
	w, rnd := bufio.NewWriter(f), rand.New(rand.NewPCG(1, 1))
	for i := range r.records {
		s := rnd.IntN(200)
		fmt.Fprintf(w, `{"timestamp":"2026-11-23T03:%02d:%02d.%03dZ","serviceId":"service-%d","instanceId":"service-%d-%d","metrics":{"rps":%.1f,"p95Latency":%.2f,"errorRate":%.4f,"activeConnections":%d,"cpuUsage":%.3f,"memoryUsage":%.3f},"tags":{"environment":"production","region":"us-east-1"}}`+"\n",
			i/60000%60, i/1000%60, i%1000, s%20, s%20, s, rnd.Float64()*300, rnd.Float64()*90, rnd.Float64()*.02, rnd.IntN(50), rnd.Float64(), rnd.Float64())
	}
	return errors.Join(w.Flush(), f.Close())
}

// contender is a program with its arguments and what it gets on stdin.
type contender struct {
	program string
	args    []string
	stdin   string
}

func (c contender) run(ctx context.Context) (wall, cpu float64, err error) {
	cmd := exec.CommandContext(ctx, c.program, c.args...)
	if c.stdin != "" {
		f, err := os.Open(c.stdin)
		if err != nil {
			return 0, 0, err
		}
		defer f.Close()
		cmd.Stdin = f
	}
	var words bytes.Buffer
	cmd.Stderr = &words // stdout goes to /dev/null
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, 0, fmt.Errorf("%s %v: %w: %s", c.program, c.args, err, words.String())
	}
	return time.Since(began).Seconds(), (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), nil
}

// compare runs two contenders in pairs, first the one and then the other.
func (r rig) compare(ctx context.Context, what string, both []contender) error {
	var walls, cpus [2][]float64
	var wallRatio, cpuRatio []float64
	for pair := range r.pairs {
		var wall, cpu [2]float64
		for _, i := range [][]int{{0, 1}, {1, 0}}[pair%2] {
			var err error
			if wall[i], cpu[i], err = both[i].run(ctx); err != nil {
				return err
			}
			walls[i], cpus[i] = append(walls[i], wall[i]), append(cpus[i], cpu[i])
		}
		wallRatio, cpuRatio = append(wallRatio, wall[1]/wall[0]), append(cpuRatio, cpu[1]/cpu[0])
	}
	fmt.Printf("| %s | %.2f (%.2f) | %.2f (%.2f) | %.2f | %.2f |\n", what, median(walls[0]), median(cpus[0]), median(walls[1]), median(cpus[1]), median(wallRatio), median(cpuRatio))
	return nil
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// list times listings on a thousand topics, which it creates and deletes.
func (r rig) list(ctx context.Context, dir string) error {
	var doc strings.Builder
	doc.WriteString("topics:\n")
	names := []string{"topics", "delete", "--execute", "--timeout", "120s"}
	for i := range 1000 {
		name := fmt.Sprintf("bench-many-%04d", i)
		fmt.Fprintf(&doc, "  - {name: %s, partitions: 1}\n", name)
		names = append(names, name)
	}
	file := filepath.Join(dir, "many.yaml")
	if err := os.WriteFile(file, []byte(doc.String()), 0o644); err != nil {
		return err
	}
	if err := r.kafka(ctx, "apply", "-f", file, "--create-only", "--timeout", "300s"); err != nil {
		return err
	}
	fmt.Printf("\n| with 1,000 more topics | ms, median of %d |\n|---|---|\n", r.pairs)
	for _, args := range [][]string{{"topics"}, {"topics", "-o", "json"}, {"plan"}, {"groups", "describe", "--all"}, {"cluster"}, {"consume", "bench-many-0500"}} {
		var walls []float64
		for range r.pairs {
			wall, _, err := contender{r.program, append(append([]string{"kafka"}, args...), "-b", r.broker), ""}.run(ctx)
			if err != nil {
				return err
			}
			walls = append(walls, wall*1000)
		}
		fmt.Printf("| kafka %s | %.0f |\n", strings.Join(args, " "), median(walls))
	}
	return r.kafka(ctx, names...)
}
