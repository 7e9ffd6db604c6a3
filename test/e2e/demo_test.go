package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/leftout"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

// demo starts `up --demo` on ports of its own, with the embedded broker.
func demo(t *testing.T) (p *process, web, admin, broker string) {
	t.Helper()
	return demoIn(t, cleanEnv(t))
}

// demoIn is demo in an environment and with more flags; broker is where the
// embedded one would listen.
func demoIn(t *testing.T, env []string, more ...string) (p *process, web, admin, broker string) {
	t.Helper()
	base := porttest.Block(t, 0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 30, 31, 32, 33, 34)
	at := func(o int) string { return fmt.Sprintf("127.0.0.1:%d", base+o) }
	web, admin, broker = at(30), at(31), at(33)
	p = startIn(t, env, false, append([]string{"up", "--demo", "--data", t.TempDir(), "--listen", web, "--admin", admin, "--console", at(32),
		"--broker-listen", broker, "--broker-internal", at(34), "--demo-ports", fmt.Sprint(base), "--demo-rate", "5"}, more...)...) // shares are counted: enough requests for that
	eventually(t, "the demo is ready", func() bool {
		resp, err := http.Get("http://" + admin + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	})
	return p, web, admin, broker
}

// children lists the living processes whose parent is pid.
func children(pid int) (out []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, s := range stats {
		b, err := os.ReadFile(s)
		if err != nil {
			continue
		}
		var child, parent int
		var status string
		rest := string(b)
		fmt.Sscan(rest, &child)
		if i := strings.LastIndexByte(rest, ')'); i > 0 {
			fmt.Sscan(rest[i+1:], &status, &parent)
		}
		if parent == pid && status != "Z" {
			out = append(out, child)
		}
	}
	return out
}

func alive(pids []int) (n int) {
	for _, p := range pids {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p)); err == nil && strings.Contains(string(b), "smartlb") {
			n++
		}
	}
	return n
}

func TestDemoMovesTrafficAwayAndStopsCleanly(t *testing.T) {
	t.Parallel()
	p, web, admin, broker := demo(t)
	eventually(t, "the page Requests has a sample of the requests", func() bool {
		var all []struct{ Route string }
		return getJSON(t, consoleOf(t, admin)+"/api/v1/requests?last=5", &all) == nil && len(all) == 5
	})
	mainJob(t, p, web, admin, broker, 13) // a broker, eleven instances and a load
}

// mainJob is what smartlb is for, seen from outside: traffic leaves an instance
// that breaks, that is explained and noted, it comes back when it is healed, and
// nothing is left in the end.
func mainJob(t *testing.T, p *process, web, admin, broker string, wantChildren int) {
	t.Helper()
	var kids []int
	eventually(t, fmt.Sprint(wantChildren, " children"), func() bool { // the proxy is ready before all have started
		kids = children(p.Cmd.Process.Pid)
		return len(kids) >= wantChildren
	})
	req, _ := http.NewRequest("GET", "http://"+web+"/users/1", nil)
	req.Header.Set("X-Smartlb-Explain", "1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("X-Request-Id") == "" || !strings.Contains(resp.Header.Get("X-Smartlb-Decision"), `"candidates"`) {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	requests := func() (third, all uint64) {
		for _, s := range look(t, admin).Services {
			if s.ID != "user-service" {
				continue
			}
			for _, i := range s.Instances {
				all += i.Requests
				if i.ID == "user-service-3" {
					third = i.Requests
				}
			}
		}
		return third, all
	}
	eventually(t, "the load comes through", func() bool { third, all := requests(); return third > 10 && all > 100 })
	if _, stderr, code := smartlb(t, "demo", "break", "user-service-3", "--error-rate", "1", "--latency", "1ms", "--admin", admin); code != 0 {
		t.Fatal(stderr)
	}
	eventually(t, "the broken instance gets next to nothing", func() bool {
		before, allBefore := requests()
		var third, all uint64
		eventually(t, "requests go on", func() bool {
			now, allNow := requests()
			third, all = now-before, allNow-allBefore
			return all >= 150
		})
		return float64(third) <= .03*float64(all)
	})
	eventually(t, "explain knows what the analyzer says", func() bool {
		out, _, code := smartlb(t, "explain", "user-service-3", "--admin", admin)
		return code == 0 && strings.Contains(out, "error estimate") && strings.Contains(out, "Through Kafka: health score")
	})
	if _, stderr, code := smartlb(t, "demo", "heal", "user-service-3", "--admin", admin); code != 0 {
		t.Fatal(stderr)
	}
	eventually(t, "the healed instance gets its share again", func() bool {
		before, allBefore := requests()
		time.Sleep(2 * time.Second)
		after, allAfter := requests()
		return float64(after-before) > .05*float64(allAfter-allBefore)
	})
	for _, want := range []string{"start.node", "break.instance", "heal.instance"} {
		eventually(t, "audit has "+want, func() bool {
			out, _, _ := smartlb(t, "audit", "-n", "100", "-b", broker)
			return strings.Contains(out, want)
		})
	}
	if took := p.stop(os.Interrupt); p.Said("did not stop") || p.Cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("the stop took %s: %v", took, p.Cmd.ProcessState)
	}
	if n := alive(kids); n > 0 {
		t.Errorf("%d children are left", n)
	}
}

// What a newcomer reads first is typed first: each line works as it stands, also
// where the ports are not the default ones.
func TestWhatUpPrintsCanBeTyped(t *testing.T) {
	t.Parallel()
	leftout.Unless(t, "kcat as a foreign client", "kcat")
	p, _, _, _ := demo(t)
	lines := ""
	eventually(t, "it prints commands", func() bool { // after the console listens, which is later than /readyz
		said, err := os.ReadFile(p.out)
		_, after, _ := strings.Cut(string(said), "Try, in another terminal:\n")
		before, _, found := strings.Cut(after, "and look at ")
		lines = before
		return err == nil && found
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", lines)
	shell.Env, shell.Dir = cleanEnv(t), p.Cmd.Dir
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Errorf("%v", err)
	}
	// Where the machine is slow, the five failures that eject it come before the question.
	for _, want := range []string{"HTTP/1.1 200", `"candidates"`, "user-service-3 is broken", "user-service-3 (is|has been) (in rotation|ejected)", "Its last health check", `"serviceId"`} {
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("no %s", want)
		}
	}
	if t.Failed() {
		t.Logf("%s\n%s", lines, out)
	}
}

func TestKilledDemoLeavesNobody(t *testing.T) {
	t.Parallel()
	p, _, _, _ := demo(t)
	kids := children(p.Cmd.Process.Pid)
	p.stop(syscall.SIGKILL)
	eventually(t, "all children end with their parent", func() bool { return alive(kids) == 0 })
}

func TestPortInUseIsSaidWithFlagAndHolder(t *testing.T) {
	t.Parallel()
	in := newInstance(t)
	_, stderr, code := smartlb(t, "proxy", "--from", in.addr, "--to", "127.0.0.1:1", "--admin", "127.0.0.1:0")
	if code != 1 || !strings.Contains(stderr, in.addr) || !strings.Contains(stderr, "--from") || !strings.Contains(stderr, fmt.Sprintf("pid %d", os.Getpid())) {
		t.Errorf("%d %s", code, stderr)
	}
}

func TestOneLineProxyWithEveryPolicy(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"adaptive", "round_robin", "least_request", "random", "peak_ewma", "ring_hash", "maglev"} {
		ins := instances(t, 3)
		p := start(t, true, "proxy", "--from", "127.0.0.1:0", "--to", ins[0].addr+","+ins[1].addr+","+ins[2].addr, "--policy", policy, "--admin", "127.0.0.1:0", "--drain", "10m")
		for range 30 {
			resp, err := http.Get("http://" + p.Address("web") + "/x")
			if err != nil || resp.StatusCode != 200 {
				t.Fatalf("%s: %v %v", policy, resp, err)
			}
			resp.Body.Close()
		}
		p.stop(syscall.SIGTERM) // waits for requests, of which there are none, and not for idle connections
	}
	if _, stderr, code := smartlb(t, "proxy", "--from", "127.0.0.1:0", "--to", "127.0.0.1:1", "--policy", "fastest"); code != 2 || !strings.Contains(stderr, "least_request") {
		t.Errorf("%d %s", code, stderr)
	}
}

func TestNothingUnprotectedListensBeyondLoopback(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"run", "--roles", "console", "--console", "0.0.0.0:0"},
		{"run", "--roles", "analyzer", "--admin", ":0"},
		{"run", "--roles", "broker", "--broker-listen", ":0", "--broker-internal", ""},
	} {
		_, stderr, code := smartlb(t, append(args, "--data", t.TempDir())...)
		if code != 1 || !strings.Contains(stderr, "--insecure-listen") {
			t.Errorf("%v: %d %s", args, code, stderr)
		}
	}
}
