//go:build !race && (amd64 || arm64) && !smartlb_portable

package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/test/leftout"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// childEnv makes the test binary a proxy in front of the address it names.
const childEnv = "SMARTLB_TEST_PROXY_TO"

// TestSystemCallsPerRequest counts them where they can be counted, from outside:
// the proxy runs as a child under strace, the clients and the instance here.
// The floor is four: read and write on both sides. Ours on top of it: the look
// at a kept connection, a read that finds nothing, the poller.
func TestSystemCallsPerRequest(t *testing.T) {
	strace := leftout.Unless(t, "counting system calls per request", "strace")
	instance := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) {
		buf, reply := make([]byte, 4096), []byte(upstreamtest.OK)
		for {
			if _, err := s.Conn.Read(buf); err != nil {
				return
			}
			if _, err := s.Conn.Write(reply); err != nil {
				return
			}
		}
	})
	counts := filepath.Join(t.TempDir(), "counts")
	cmd := exec.Command(strace, "-f", "-c", "-o", counts, os.Args[0], "-test.run=^TestProxyChild$")
	cmd.Env = append(os.Environ(), childEnv+"="+instance.Addr)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		_ = stdin.Close()
		_ = cmd.Wait()
		leftout.For(t, "counting system calls per request", "the right to trace")
	}
	addr := strings.TrimSpace(line)
	const clients, each = 32, 300
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			buf := make([]byte, 4096)
			for range each {
				if _, err := conn.Write([]byte(get)); err != nil {
					t.Error(err)
					return
				}
				if _, err := conn.Read(buf); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	_ = stdin.Close()
	_, _ = io.Copy(io.Discard, stdout)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(counts)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for l := range strings.Lines(string(table)) {
		if f := strings.Fields(l); len(f) >= 5 && f[len(f)-1] == "total" {
			total, _ = strconv.Atoi(f[3])
		}
	}
	per := float64(total) / (clients * each)
	t.Logf("%d system calls for %d requests: %.2f each, start and stop included", total, clients*each, per)
	if total == 0 || per > 6.5 {
		t.Errorf("%.2f system calls per request, want at most 6.5:\n%s", per, table)
	}
}

// TestProxyChild is the child of TestSystemCallsPerRequest; by itself it tests
// nothing.
func TestProxyChild(t *testing.T) {
	to := os.Getenv(childEnv)
	if to == "" {
		return
	}
	service := upstream.NewService("s")
	service.Swap(&upstream.Pool{
		Policy: inTurn{}, Live: []int32{0},
		Members: []upstream.Member{{Live: upstream.NewLive("s", "s-0", to, 1, 0), Weight: 1}},
	})
	routes, err := router.Compile([]router.Rule[*dispatch.Route]{{Name: "all", Path: "/", Kind: router.Prefix, Value: &dispatch.Route{
		Name: "all", Split: []dispatch.Share{{Service: service, Weight: 1, Traffic: service.Traffic("all")}}, Total: 1,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	d := dispatch.New(dispatch.Config{})
	d.Swap(&dispatch.Table{Routes: routes})
	p, err := New(Config{Listeners: []Listener{{Name: "web", Addr: "127.0.0.1:0"}}, AccessLog: io.Discard}, d)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(p.Addr("web"))
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // the parent's end is ours
		cancel()
	}()
	if err := p.Run(ctx); err != nil {
		t.Error(err)
	}
}
