// Package alertmanagertest runs a real Alertmanager for tests. Only tests use it.
package alertmanagertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/leftout"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

// Server is a running Alertmanager that sends each group of alerts to one webhook.
type Server struct {
	URL string
	t   testing.TB
}

// Alert is an alert as its API shows it.
type Alert struct {
	Labels, Annotations map[string]string
	StartsAt, EndsAt    time.Time
	GeneratorURL        string
	Status              struct{ State string }
}

// New starts an Alertmanager that ends with the test. If the program is missing, it skips the test.
func New(t testing.TB, hook string) *Server {
	t.Helper()
	program := leftout.Unless(t, "alerts in a real Alertmanager", "prometheus-alertmanager")
	dir, addr := t.TempDir(), porttest.Address(t)
	config := fmt.Sprintf(`route: {receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: hook, webhook_configs: [{url: %q}]}]
`, hook)
	file := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--config.file="+file, "--storage.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr, "--cluster.listen-address=")
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("log of Alertmanager:\n%s", log.String())
		}
	})
	s := &Server{URL: "http://" + addr, t: t}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(s.URL + "/-/ready")
		if err == nil {
			_ = resp.Body.Close()
		}
		if err == nil && resp.StatusCode == http.StatusOK {
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("Alertmanager is not ready: %v", err)
		}
	}
}

// Active returns the alerts that fire.
func (s *Server) Active() []Alert {
	s.t.Helper()
	resp, err := http.Get(s.URL + "/api/v2/alerts")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var all []Alert
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		s.t.Fatal(err)
	}
	return all
}
