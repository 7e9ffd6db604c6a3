// Command console measures what the console's views of messages cost on large
// data: a search with an expression through a million messages beside kcat and
// jq on the same broker, a live stream of a topic as fast as the broker can
// feed it, and a message of 10 MB in a browser. Memory is the peak of the
// console's process, which is started anew for each part.
//
//	go run ./bench/console -smartlb bin/smartlb
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/bench/rig"
)

const expression = `value.metrics.cpuUsage > 0.98 && key.startsWith("service-1")`
const jqFilter = `select((.payload | fromjson | .metrics.cpuUsage > 0.98) and (.key | startswith("service-1"))) | .offset`

var version = regexp.MustCompile(`\d+\.[\d.]*\d`)

// bench is one run of everything.
type bench struct {
	ctx     context.Context
	dir     string
	program string
	broker  string
	console string
	sarama  string // a program of ours
	records int
}

// raw is what was measured.
type raw struct {
	Scan  []scanRow
	Live  []liveRow
	Big   bigRow
	Dense denseRow
}

func main() {
	program := flag.String("smartlb", "bin/smartlb", "binary")
	records := flag.Int("records", 1_000_000, "messages to search")
	rounds := flag.Int("rounds", 3, "of the search")
	out := flag.String("out", "bench/results", "folder for the page")
	flag.Parse()
	if err := run(*program, *records, *rounds, *out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(program string, records, rounds int, out string) error {
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-console")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	addrs, err := rig.FreeAddrs(2)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	b := &bench{ctx: ctx, dir: dir, program: program, broker: addrs[0], console: addrs[1], records: records}
	b.sarama = filepath.Join(dir, "sarama")
	build := exec.CommandContext(ctx, "go", "build", "-o", b.sarama, ".")
	build.Dir = filepath.Join("test", "foreign", "sarama")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the program of test/foreign/sarama: %w: %s", err, out)
	}
	broker, err := rig.StartBroker(ctx, dir, program, b.broker)
	if err != nil {
		return err
	}
	defer broker.Stop()
	var figures raw
	r := &rig.Report{Name: "console-messages"}
	r.Printf("# The console on large data: messages\n\n")
	r.Versions("go run ./bench/console", program)
	for _, tool := range [][]string{{"kcat", "-V"}, {"jq", "--version"}, {"chromium", "--version"}} {
		out, _ := exec.Command(tool[0], tool[1:]...).CombinedOutput()
		r.Printf("%s: %s  \n", tool[0], version.FindString(string(out)))
	}
	r.Printf("\n")
	if figures.Scan, err = b.scan(rounds); err != nil {
		return err
	}
	printScan(r, figures.Scan, records)
	if figures.Live, err = b.live(broker); err != nil {
		return err
	}
	printLive(r, figures.Live)
	if figures.Big, err = b.big(); err != nil {
		return err
	}
	printBig(r, figures.Big)
	if figures.Dense, err = b.dense(); err != nil {
		return err
	}
	printDense(r, figures.Dense)
	return r.Write(out, figures)
}

// withConsole runs f with a console of its own and returns its peak memory.
func (b *bench) withConsole(f func(p *rig.Process) error) (peak int64, err error) {
	p, err := rig.StartConsole(b.ctx, b.dir, b.program, b.broker, b.console)
	if err != nil {
		return 0, err
	}
	defer p.Stop()
	err = f(p)
	peak, err2 := peakRSS(p.Pid)
	return peak, errors.Join(err, err2)
}

// peakRSS is the most memory that a process had in RAM so far.
func peakRSS(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("/proc tells no VmHWM")
}

// kafka runs a verb of the command line.
func (b *bench) kafka(args ...string) error {
	cmd := exec.CommandContext(b.ctx, b.program, append(append([]string{"kafka"}, args...), "-b", b.broker)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w: %s", args, err, out)
	}
	return nil
}

func mib(n int64) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }
