package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/smartlb/smartlb/internal/test/porttest"
)

// The receivers of alerts, and the route of a request, in the console of a node.
func TestReceiversAndRoutesInABrowser(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	t.Cleanup(receiver.Close)
	file := mustWrite(t, fmt.Sprintf(`listeners: [{name: web, address: "127.0.0.1:0"}]
routes:
  - {name: rest, service: shop}
  - {name: users, path: {prefix: /users}, service: shop}
  - {name: canary, path: {prefix: /users}, headers: [{name: X-Canary, exact: "yes"}], clients: [10.0.0.0/8], service: shop}
services: [{id: shop, instances: [{id: shop-1, address: %q}]}]
console: {address: "127.0.0.1:0"}
alerting:
  receivers:
    - {name: good, type: webhook, url: %q}
    - {name: bad, type: webhook, url: "http://%s"}
`, porttest.Address(t), receiver.URL, porttest.Address(t)))
	b := broker(t, t.TempDir(), "127.0.0.1:0")
	n := start(t, true, "run", "--roles", "proxy,analyzer,console", "--kafka", b.Address("broker"), "--config", file, "--admin", "127.0.0.1:0", "--data", t.TempDir())
	url := "http://" + n.Address("console")
	eventually(t, "the node sends alerts", func() bool {
		var receivers struct{ Sends bool }
		var config struct{ Revision string }
		return getJSON(t, url+"/api/v1/alerts/receivers", &receivers) == nil && receivers.Sends && getJSON(t, url+"/api/v1/config", &config) == nil && config.Revision != ""
	})
	inBrowser(t, "routing", url)
}
