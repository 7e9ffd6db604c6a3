package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/smartlb/smartlb/bench/rig"
)

// slice is one short measurement of one contender.
type slice struct {
	Contender string
	C         int     // connections
	Requests  int64   // answered with 2xx
	Rate      float64 // per second
	MicrosCPU float64 // of the proxy, per request
	Switches  float64 // context switches of the proxy, per request
	Foreign   float64 // share of the machine that others used meanwhile
}

var (
	completed = regexp.MustCompile(`(\d+) requests in`)
	badStatus = regexp.MustCompile(`Non-2xx or 3xx responses: \d+`)
	badSocket = regexp.MustCompile(`Socket errors: .*`)
)

// wrk runs wrk, in front of it what is in before, and gives the number of
// answers; any error is an error.
func wrk(ctx context.Context, url string, c int, span time.Duration, before ...string) (requests int64, out string, own time.Duration, err error) {
	args := append(before, "wrk", "-t1", "-c"+strconv.Itoa(c), "-d"+strconv.Itoa(int(span.Seconds()))+"s", url)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	b, err := cmd.CombinedOutput()
	out = string(b)
	if err != nil {
		return 0, out, 0, fmt.Errorf("%v: %w\n%s", args, err, out)
	}
	own = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	m := completed.FindStringSubmatch(out)
	if m == nil {
		return 0, out, own, fmt.Errorf("wrk said nothing of requests:\n%s", out)
	}
	for _, bad := range []*regexp.Regexp{badStatus, badSocket} {
		if found := bad.FindString(out); found != "" {
			return 0, out, own, fmt.Errorf("%s: %s", url, found)
		}
	}
	requests, err = strconv.ParseInt(m[1], 10, 64)
	if err == nil && requests == 0 {
		err = fmt.Errorf("%s answered nothing", url)
	}
	return requests, out, own, err
}

var succeeded = regexp.MustCompile(`requests: \d+ total, .* (\d+) succeeded, (\d+) failed, (\d+) errored`)

// h2load is wrk for HTTP/2: each connection has streams requests at a time.
func h2load(ctx context.Context, url string, c int, span time.Duration, more ...string) (requests int64, own time.Duration, err error) {
	args := append([]string{"-c", strconv.Itoa(c), "-m", strconv.Itoa(streams), "-D", strconv.Itoa(int(span.Seconds()))}, more...)
	cmd := exec.CommandContext(ctx, "h2load", append(args, url)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("h2load: %w\n%s", err, out)
	}
	own = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	m := succeeded.FindStringSubmatch(string(out))
	if m == nil || m[2] != "0" || m[3] != "0" {
		return 0, own, fmt.Errorf("%s: not every request succeeded:\n%s", url, out)
	}
	requests, err = strconv.ParseInt(m[1], 10, 64)
	return requests, own, err
}

// load makes the load of the mode, and returns the number of answers and the CPU time of the program that made it.
func (s *stage) load(ctx context.Context, url string, c int, span time.Duration) (requests int64, own time.Duration, err error) {
	switch m := s.mode; {
	case m.grpc:
		return h2load(ctx, url, c, span, "-d", filepath.Join(s.dir, "call"), "-H", "content-type: application/grpc", "-H", "te: trailers")
	case m.http2:
		return h2load(ctx, url, c, span)
	case m.full || m.resumed:
		requests, err = s.connections(ctx, url, c, span, m.resumed) // in this process
		return requests, 0, err
	}
	requests, _, own, err = wrk(ctx, url, c, span)
	return requests, own, err
}

const streams = 8 // of each connection of HTTP/2

// pids are this process and all that it started.
func (s *stage) pids() []int {
	pids := []int{os.Getpid()}
	for _, p := range s.all {
		pids = append(pids, rig.Tree(p.Pid)...)
	}
	return pids
}

// measure runs one slice.
func (s *stage) measure(ctx context.Context, c contender, conns int, span time.Duration) (slice, error) {
	tree := rig.Tree(c.Pid)
	known, busy, cpu, switches := rig.CPU(s.pids()...), must(rig.Busy()), rig.CPU(tree...), rig.Switches(tree...)
	began := time.Now()
	n, own, err := s.load(ctx, c.URL, conns, span)
	if err != nil {
		return slice{}, err
	}
	took := time.Since(began)
	cpu = rig.CPU(tree...) - cpu
	foreign := must(rig.Busy()) - busy - (rig.CPU(s.pids()...) - known) - own
	return slice{
		Contender: c.Name, C: conns, Requests: n, Rate: float64(n) / took.Seconds(),
		MicrosCPU: float64(cpu.Nanoseconds()) / 1e3 / float64(n),
		Switches:  float64(rig.Switches(tree...)-switches) / float64(n),
		Foreign:   max(0, foreign.Seconds()/took.Seconds()/float64(cpus)),
	}, nil
}
