package main

import (
	"context"
	"math"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/smartlb/smartlb/bench/openload"
	"github.com/smartlb/smartlb/bench/stats"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/test/leaktest"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// serve runs one instance under a condition and gives its address.
func serve(t *testing.T, now func() condition) string {
	t.Helper()
	addr := porttest.Address(t)
	in, err := newInstance(3, addr, 1, workers, now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- in.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for range workers {
			(<-in.free).Close()
		}
	})
	for {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
			return addr
		}
		time.Sleep(time.Millisecond)
	}
}

// The load is open: a server that answers nothing for a while gets all the
// requests of that while, and each counts from when it was meant to be sent. A
// closed loop would have sent one and reported one slow answer.
func TestLatencyCountsFromTheIntendedTime(t *testing.T) {
	start := time.Now()
	const silent = 300 * time.Millisecond
	addr := serve(t, func() condition { return condition{Scale: .01, Hung: time.Since(start) < silent} })
	schedule := stats.Schedule(rand.New(rand.NewPCG(1, 1)), 500, 400*time.Millisecond)
	answers, err := openload.Run(context.Background(), addr, start, schedule)
	if err != nil {
		t.Fatal(err)
	}
	if len(answers) != len(schedule) {
		t.Fatalf("%d answers to %d requests", len(answers), len(schedule))
	}
	for i, a := range answers {
		if a.Status != 200 || a.Instance != 3 || a.Intended != schedule[i] {
			t.Fatalf("request %d: %+v", i, a)
		}
		if a.Intended < silent && a.Latency < silent-a.Intended {
			t.Fatalf("a request for %s was answered %s later, while the server was silent until %s", a.Intended, a.Latency, silent)
		}
		if a.Latency < a.Service || a.Lag < 0 || a.Lag > a.Latency {
			t.Fatalf("request %d: lag %s, service %s, latency %s", i, a.Lag, a.Service, a.Latency)
		}
	}
}

func TestConditionsAreSeen(t *testing.T) {
	ask := func(c condition, n int) (counts map[int]int) {
		addr := serve(t, func() condition { return c })
		answers, err := openload.Run(context.Background(), addr, time.Now(), make([]time.Duration, n))
		if err != nil {
			t.Fatal(err)
		}
		counts = map[int]int{}
		for _, a := range answers {
			counts[a.Status]++
		}
		return counts
	}
	if got := ask(condition{Scale: .01, Errors: 1, Fast: true}, 20); got[500] != 20 {
		t.Errorf("an instance that always fails answered %v", got)
	}
	// 30 % of 400: 120 with a standard deviation of 9.
	if got := ask(condition{Scale: .01, Errors: .3}, 400); got[500] < 75 || got[500] > 165 || got[500]+got[200] != 400 {
		t.Errorf("an instance that fails 30 %% of 400 answered %v", got)
	}
}

func TestCrashBreaksAndRefusesConnections(t *testing.T) {
	down := make(chan struct{})
	addr := serve(t, func() condition {
		select {
		case <-down:
			return condition{Scale: 1, Down: true}
		default:
			return condition{Scale: 1}
		}
	})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("GET /bench HTTP/1.1\r\nHost: bench.example\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	close(down)
	for b := make([]byte, 1024); err == nil; { // its answer may come first
		_, err = c.Read(b)
	}
	for err = nil; err == nil; { // the listener follows within a tick
		var again net.Conn
		if again, err = net.Dial("tcp", addr); err == nil {
			_ = again.Close()
		}
	}
}

// A digest of answers with a known wait has the p99 that the theory gives.
func TestDigestOfSyntheticAnswers(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	law := stats.Lognormal{Mean: float64(20 * time.Millisecond), CV: 1}
	var all []openload.Answer
	for range 40_000 {
		service := time.Duration(law.Draw(rnd))
		all = append(all, openload.Answer{Intended: warmup, Service: service, Mean: 20 * time.Millisecond, Latency: service + 5*time.Millisecond, Status: 200})
	}
	for range 40 {
		all = append(all, openload.Answer{Intended: warmup, Latency: time.Millisecond, Status: 503})
	}
	all = append(all, openload.Answer{Intended: warmup - 1, Status: 0}) // before the measured part
	r := digest(all)
	const want = 98.1 + 5
	if math.Abs(r.RB99-want) > .1 || math.Abs(r.P99-want) > 4 {
		t.Errorf("rb99 %.2f, p99 %.2f, want %.1f", r.RB99, r.P99, want)
	}
	if r.Requests != 40_040 || r.Errors != 40 || math.Abs(r.percent()-.0999) > .0001 || r.Statuses[503] != 40 {
		t.Errorf("%d requests, %d errors, %.4f %%", r.Requests, r.Errors, r.percent())
	}
}

func TestCasesAreWhatTheyAreNamed(t *testing.T) {
	for name, rate := range map[string]float64{"homog": 1500, "hetero": 1507, "slow1": 1365, "antag": 1500, "hang": 1500, "light": 60, "weights": 1500} {
		c, ok := caseNamed(name)
		if !ok || math.Abs(c.rate()-rate) > 2 {
			t.Errorf("%s: %.1f requests per second, want %.0f", name, c.rate(), rate)
		}
	}
	hang, _ := caseNamed("hang")
	if hang.At(1, 9, faultFrom-1).Hung || !hang.At(1, 9, faultFrom).Hung || hang.At(1, 9, faultFrom+faultFor).Hung || hang.At(1, 0, faultFrom).Hung {
		t.Error("hang is not the last instance for six seconds")
	}
	antag, _ := caseNamed("antag")
	turns := [instances]int{}
	for seed := range uint64(200) {
		for at := time.Duration(0); at < warmup+measured; at += slot {
			slow := 0
			for i := range instances {
				if antag.At(seed, i, at).Scale != 1 {
					slow++
					turns[i]++
				}
				if antag.At(seed, i, at) != antag.At(seed, i, at+slot-1) {
					t.Fatal("a slot changes within")
				}
			}
			if slow != slowAtOnce {
				t.Fatalf("%d instances are slow at once, want %d", slow, slowAtOnce)
			}
		}
	}
	for i, n := range turns { // 2000 slots: 400 turns each, with a standard deviation of 18
		if n < 310 || n > 490 {
			t.Errorf("instance %d was slow in %d slots of 2000", i, n)
		}
	}
}

// Each case with a configuration file has one that smartlb accepts without a warning.
func TestConfigurationsOfSmartlb(t *testing.T) {
	for _, c := range allCases {
		d, err := config.Parse(smartlbConf(c, "127.0.0.1:8080", []string{"127.0.0.1:1", "127.0.0.1:2"}))
		if err != nil || len(d.Warnings) > 0 || d.Services[0].Instances[0].Weight != float64(c.weight(0)) {
			t.Errorf("%s: %v, %v, %+v", c.Name, err, d.Warnings, d.Services)
		}
	}
}
