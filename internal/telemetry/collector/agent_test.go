package collector

import (
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/test/leftout"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

// answers are answers of agents, each of an instance of its own, and what HAProxy makes of them.
var answers = []struct {
	answer string
	status string
	weight float64 // 0: not said
	bad    bool
}{
	{"up\n", event.StatusHealthy, 0, false},
	{"ready\n", event.StatusHealthy, 0, false},
	{"75%\n", event.StatusHealthy, .75, false},
	{"50% up ready\r\n", event.StatusHealthy, .5, false},
	{"ready,up\t100%\n", event.StatusHealthy, 1, false},
	{"150%\n", event.StatusHealthy, 1.5, false},
	{"0%\n", event.StatusDraining, 0, false},
	{"drain\n", event.StatusDraining, 0, false},
	{"70%,Drain\n", event.StatusDraining, .7, false},
	{"MAINT\n", event.StatusDraining, 0, false},
	{"maint # since noon\n", event.StatusDraining, 0, false},
	{"down\n", event.StatusUnhealthy, 0, false},
	{"up down\r\n", event.StatusUnhealthy, 0, false},
	{"down up\n", event.StatusHealthy, 0, false},
	{"fail #disk full, drain\n", event.StatusUnhealthy, 0, false},
	{"stopped\n", event.StatusUnhealthy, 0, false},
	{"up 25%\ndrain\n", event.StatusHealthy, .25, false},
	{"up\rdrain\n", event.StatusHealthy, 0, false},
	{"up maxconn:30\n", event.StatusHealthy, 0, false},
	{"50% 60%\n", event.StatusHealthy, .6, false},
	{"fail#disk\n", event.StatusHealthy, 0, true},
	{"failed\n", event.StatusHealthy, 0, true},
	{"20% junk drain\n", event.StatusDraining, .2, true},
	{"50%%\n", event.StatusHealthy, 0, true},
	{"12.5%\n", event.StatusHealthy, 0, true},
	{"+50%\n", event.StatusHealthy, 0, true},
	{"70 %\n", event.StatusHealthy, 0, true},
	{"#down\n", event.StatusHealthy, 0, true},
	{"\n", event.StatusHealthy, 0, true},
}

func TestAnswersOfAgents(t *testing.T) {
	for _, tc := range answers {
		var a agent
		err := a.apply(tc.answer)
		m := a.message("s", "i", time.Unix(1000, 0), time.Millisecond)
		if a.status() != tc.status || (err != nil) != tc.bad || m.Weight.Or(0) != tc.weight || m.Validate() != nil {
			t.Errorf("%q: %s, %v, %+v", tc.answer, a.status(), err, m)
		}
	}
	for answer, want := range map[string]string{
		"": "answered nothing", " #no words\n": "answered nothing", "busy\n": `unknown word "busy"`,
		"-5%\n": `unknown word "-5%"`, "%\n": `unknown word "%"`, "1e3%\n": "unknown word", "99999999%\n": "unknown word",
	} {
		var a agent
		if err := a.apply(answer); err == nil || !strings.Contains(err.Error(), want) || a.status() != event.StatusHealthy {
			t.Errorf("%q: %v, %s", answer, err, a.status())
		}
	}
}

// An answer changes only what it names.
func TestAgentsAreRemembered(t *testing.T) {
	var a agent
	for _, step := range []struct{ answer, status, said string }{
		{"drain", event.StatusDraining, "drain"},
		{"50%", event.StatusDraining, "drain 50%"},
		{"down #disk", event.StatusDraining, "drain down 50% #disk"},
		{"ready", event.StatusUnhealthy, "ready down 50%"},
		{"nonsense up", event.StatusHealthy, "ready 50%"},
		{"0%", event.StatusDraining, "ready 0%"},
		{"100%", event.StatusHealthy, "ready 100%"},
	} {
		_ = a.apply(step.answer)
		if a.status() != step.status || a.said() != step.said {
			t.Errorf("%q: %s, %q", step.answer, a.status(), a.said())
		}
	}
}

// HAProxy means the same with each answer: the state of its server, and its weight.
func TestAgentsMeanWhatTheyMeanForHAProxy(t *testing.T) {
	t.Parallel()
	haproxy := leftout.Unless(t, "what HAProxy makes of agents", "haproxy")
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	var b strings.Builder
	fmt.Fprintf(&b, "global\n stats socket %s mode 600 level admin\ndefaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\nfrontend f\n bind %s\n default_backend b\nbackend b\n", socket, porttest.Address(t))
	for i, tc := range answers {
		_, port, _ := net.SplitHostPort(porttest.Serve(t, func(c net.Conn) { _, _ = io.WriteString(c, tc.answer) }))
		fmt.Fprintf(&b, " server s%d 127.0.0.1:9 weight 100 agent-check agent-port %s agent-inter 100ms\n", i, port)
	}
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(haproxy, "-db", "-f", file)
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	want := map[string][2]string{}
	for i, tc := range answers {
		state, weight := "no check", "100"
		switch {
		case tc.status == event.StatusUnhealthy:
			state = "DOWN (agent)"
		case strings.HasPrefix(tc.answer, "0%"):
			weight = "0"
		case strings.HasPrefix(strings.ToLower(tc.answer), "maint"):
			state = "MAINT"
		case tc.status == event.StatusDraining:
			state = "DRAIN (agent)"
		}
		if tc.weight > 0 {
			weight = fmt.Sprint(100 * tc.weight)
		}
		want[fmt.Sprint("s", i)] = [2]string{state, weight}
	}
	got := map[string][2]string{}
	eventually(t, "HAProxy has asked each agent", func() bool {
		got = stat(socket)
		return maps.Equal(want, got)
	}, func() { t.Logf("%s\n%s", cmp.Diff(want, got), log.String()) })
}

// stat returns state and weight of each server of HAProxy.
func stat(socket string) map[string][2]string {
	out := map[string][2]string{}
	c, err := net.Dial("unix", socket)
	if err != nil {
		return out
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = c.Write([]byte("show stat\n"))
	var b strings.Builder
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			break
		}
	}
	for line := range strings.Lines(b.String()) {
		if f := strings.Split(line, ","); len(f) > 18 && f[0] == "b" && f[1] != "BACKEND" {
			out[f[1]] = [2]string{f[17], f[18]}
		}
	}
	return out
}

// FuzzAgent finds answers that make an invalid message.
func FuzzAgent(f *testing.F) {
	for _, tc := range answers {
		f.Add(tc.answer, "ready 30% #x\n")
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		var a agent
		_ = a.apply(strings.ToValidUTF8(first, "?"))
		_ = a.apply(strings.ToValidUTF8(second, "?"))
		m := a.message("s", "i", time.Unix(1000, 0), time.Millisecond)
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := event.DecodeHealthStatus(b); err != nil || got != m {
			t.Fatalf("%v: got %+v, want %+v", err, got, m)
		}
	})
}
