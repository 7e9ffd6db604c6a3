// Idle measures what `smartlb up --demo` costs while nobody uses it but its own
// gentle load: memory and CPU of all its processes without the load, and how
// long it takes to be ready.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"github.com/smartlb/smartlb/bench/rig"
	"github.com/smartlb/smartlb/bench/stats"
)

// Targets.
const (
	maxPSS   = 150 << 20 // bytes, all processes but the load
	maxCPU   = .05       // of one core
	maxReady = 2.0       // seconds
)

func main() {
	smartlb := flag.String("smartlb", "bin/smartlb", "the binary to measure")
	results := flag.String("results", "bench/results", "where to write")
	runs := flag.Int("runs", 2, "starts without and with the demo's load, each")
	settle := flag.Duration("settle", 20*time.Second, "pause between ready and the measurement")
	span := flag.Duration("span", 20*time.Second, "length of the measurement")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	program, err := filepath.Abs(*smartlb)
	if err != nil {
		log.Fatal(err)
	}
	var all []sample
	for i := range 2 * *runs {
		s, err := measure(ctx, program, i%2, *settle, *span)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Fprintf(os.Stderr, "run %d: load %d, ready %.2f s, PSS %.1f MiB, CPU %.1f %%, foreign CPU %.0f %%\n", i+1, s.Rate, s.Ready, mib(s.PSS), 100*s.CPU, 100*s.Foreign)
		all = append(all, s)
	}
	if err := page(program, *results, *settle, *span, all); err != nil {
		log.Fatal(err)
	}
}

// process is one of the demo's, at the end of the measurement.
type process struct {
	Name string
	PSS  int64
	CPU  float64 // of one core
}

// sample is one start of the demo. The load is in Load, not in the sums.
type sample struct {
	Rate      int     // scale of the demo's own load: 0 none, 1 the default
	Ready     float64 // seconds from exec to the first answer of an instance through the proxy with /readyz at 200
	PSS       int64
	CPU       float64
	Foreign   float64 // share of the machine that others used
	Processes []process
	Load      process
}

// measure starts the demo in a directory of its own and reads what it uses.
func measure(ctx context.Context, program string, rate int, settle, span time.Duration) (sample, error) {
	dir, err := os.MkdirTemp("", "smartlb-bench-idle")
	if err != nil {
		return sample{}, err
	}
	defer os.RemoveAll(dir)
	a, err := rig.FreeAddrs(5)
	if err != nil {
		return sample{}, err
	}
	ports, err := freePorts()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	p, err := rig.Start(dir, "up", program, "up", "--demo", "--data", filepath.Join(dir, "data"), "--listen", a[0], "--admin", a[1],
		"--console", a[2], "--broker-listen", a[3], "--broker-internal", a[4], "--demo-ports", fmt.Sprint(ports), "--demo-rate", fmt.Sprint(rate))
	if err != nil {
		return sample{}, err
	}
	defer p.Stop()
	if err := errors.Join(p.AwaitOK(ctx, "http://"+a[1]+"/readyz"), p.AwaitOK(ctx, "http://"+a[0]+"/users/1")); err != nil {
		return sample{}, err
	}
	s := sample{Rate: rate, Ready: time.Since(began).Seconds()}
	if err := pause(ctx, settle); err != nil {
		return s, err
	}
	return s, s.read(ctx, p.Pid, span)
}

func (s *sample) read(ctx context.Context, pid int, span time.Duration) error {
	pids := rig.Tree(pid)
	before := make([]time.Duration, len(pids))
	for i, p := range pids {
		before[i] = rig.CPU(p)
	}
	own := rig.CPU(os.Getpid())
	busy, err := rig.Busy()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := pause(ctx, span); err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	now, err := rig.Busy()
	if err != nil {
		return err
	}
	foreign := (now - busy) - (rig.CPU(os.Getpid()) - own)
	for i, p := range pids {
		used := rig.CPU(p) - before[i]
		foreign -= used
		one := process{Name: name(rig.Cmdline(p)), CPU: used.Seconds() / took}
		if one.PSS, err = rig.PSS(p); err != nil {
			return err
		}
		if one.Name == "load" {
			s.Load = one
			continue
		}
		s.Processes = append(s.Processes, one)
		s.PSS, s.CPU = s.PSS+one.PSS, s.CPU+one.CPU
	}
	if (s.Load.Name == "") != (s.Rate == 0) {
		return errors.New("a demo without its load, or with one that was not asked for")
	}
	s.Foreign = max(0, foreign.Seconds()/took/float64(cpus))
	return nil
}

// name tells a process of the demo from its arguments.
func name(args []string) string {
	for i, a := range args {
		switch {
		case a == "--instance" && i+1 < len(args):
			return args[i+1]
		case a == "broker", a == "load", a == "console":
			return a
		}
	}
	return "proxy, analyzer"
}

// freePorts gives a first port for the demo whose ports are all free.
func freePorts() (int, error) {
	for first := 20001; first < 30000; first += 100 {
		if free(first) {
			return first, nil
		}
	}
	return 0, errors.New("no free ports for the demo")
}

func free(first int) bool {
	return !slices.ContainsFunc([]int{0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22}, func(offset int) bool {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+offset))
		if err == nil {
			_ = l.Close()
		}
		return err != nil
	})
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func mib[N int64 | float64](bytes N) float64 { return float64(bytes) / (1 << 20) }

// column gives one figure of the samples taken at a rate.
func column(all []sample, rate int, of func(sample) float64) stats.Summary {
	v := make([]float64, 0, len(all))
	for _, s := range all {
		if s.Rate == rate {
			v = append(v, of(s))
		}
	}
	return stats.Summarize(v)
}
