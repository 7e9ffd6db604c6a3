package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

// KEDA's own client asks a node, over TLS with certificates on both sides, how many instances a service needs. The facts
// come from health-scores, as an analyzer writes them.
func TestKEDAScalesByCapacity(t *testing.T) {
	t.Parallel()
	keda := filepath.Join(t.TempDir(), "keda")
	if b, err := exec.Command("go", "build", "-C", "../foreign/keda", "-o", keda, ".").CombinedOutput(); err != nil {
		t.Fatalf("building the client: %v\n%s", err, b)
	}
	ca, dir := certtest.New(t, "e2e"), t.TempDir()
	caFile := mustWrite(t, string(ca.PEM()))
	cert, key := ca.IssuePEM(certtest.Options{}, "127.0.0.1")
	serverCert, serverKey := certtest.Files(t, dir, "server", cert, key)
	cert, key = ca.IssuePEM(certtest.Options{Client: true}, "keda")
	clientCert, clientKey := certtest.Files(t, dir, "client", cert, key)
	file := mustWrite(t, fmt.Sprintf(`scaler: {address: "127.0.0.1:0", tls: {cert: %q, key: %q, clientCa: %q}}
listeners: [{name: web, address: "127.0.0.1:0"}]
routes: [{name: all, service: shop}]
services: [{id: shop, instances: [{id: shop-1, address: "127.0.0.1:1"}, {id: shop-2, address: "127.0.0.1:2"}]}]
`, serverCert, serverKey, caFile))
	p := start(t, true, "run", "--roles", "broker,proxy", "--broker-listen", "127.0.0.1:0", "--broker-internal", "", "--config", file, "--admin", "127.0.0.1:0", "--data", t.TempDir())
	ask := func(cert, key string, metadata ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), maxWait)
		defer cancel()
		out, err := exec.CommandContext(ctx, keda, append([]string{p.Address("scaler"), caFile, cert, key}, metadata...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	if got := ask("", "", "service=shop"); !strings.Contains(got, "GetMetricSpec Unavailable") {
		t.Errorf("without a certificate:\n%s", got)
	}
	if got := ask(clientCert, clientKey, "service=shop"); !strings.Contains(got, "GetMetrics FailedPrecondition the number of instances that shop needs is unknown") {
		t.Errorf("without facts:\n%s", got)
	}
	seq := 0
	publish := func() {
		t.Helper()
		for i := range 2 {
			seq++
			score := fmt.Sprintf(`{"serviceId":"shop","instanceId":"shop-%d","timestamp":%[2]q,"score":1,"confidence":1,"state":"HEALTHY","asOf":%[2]q,"periodMs":1000,"seq":%[3]d,"estimate":{"load":160,"rps":250,"bound":"cpu","confidence":"high","reason":"seen"}}`,
				i+1, time.Now().UTC().Format(time.RFC3339Nano), seq)
			if _, stderr, code := smartlb(t, "kafka", "produce", "health-scores", score, "-b", p.Address("broker")); code != 0 && !strings.Contains(stderr, "does not exist") {
				t.Fatalf("produce: %d %s", code, stderr)
			}
		}
	}
	// The facts are published again until the answer is right: the topic may not be there yet, and on a slow machine they
	// become too old.
	expect := func(what, want string, answer func() string) {
		t.Helper()
		eventually(t, what+": "+want, func() bool {
			if strings.Contains(answer(), want) {
				return true
			}
			publish()
			return false
		})
	}
	for _, c := range []struct{ metadata, want string }{
		{"", "GetMetricSpec smartlb-instances 1 1\nIsActive true\nStreamIsActive true\nGetMetrics smartlb-instances 2 1.6\n"},
		{"targetUtilization=0.4", "GetMetrics smartlb-instances 4 3.2"},
		{"targetUtilization=80", "GetMetricSpec InvalidArgument metadata: targetUtilization: want 0.05 to 1"},
		{"minConfidense=low", "GetMetricSpec InvalidArgument metadata: unknown key \"minConfidense\" (did you mean minConfidence?)"},
	} {
		expect(c.metadata, c.want, func() string { return ask(clientCert, clientKey, "service=shop", c.metadata) })
	}
	if got := ask(clientCert, clientKey, "service=shpo"); !strings.Contains(got, `IsActive NotFound there is no service "shpo"`) {
		t.Errorf("another service:\n%s", got)
	}
	for _, want := range []string{"shop: carries 80 more requests/s; does not survive the loss of an instance at the present load", "needs 2 instances"} {
		expect("smartlb capacity", want, func() string {
			out, _, _ := smartlb(t, "capacity", "shop", "--admin", p.Address("admin"))
			return out
		})
	}
}
