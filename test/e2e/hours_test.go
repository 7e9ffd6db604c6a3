package e2e

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// A route with hours takes requests within them only, whatever the protocol is.
func TestRoutesMatchTheTime(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC()
	clock := func(d time.Duration) string { return now.Add(d).Format("15:04") }
	file := mustWrite(t, fmt.Sprintf(`listeners: [{name: web, address: "127.0.0.1:0"}]
routes:
  - {name: now, path: {prefix: /now}, hours: [{from: %[1]q, to: %[2]q}], response: {status: 200, body: within}}
  - {name: later, path: {prefix: /later}, hours: [{from: %[2]q, to: %[1]q}], response: {status: 200, body: within}}
  - {name: else, response: {status: 200, body: outside}}
`, clock(-2*time.Hour), clock(2*time.Hour)))
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--admin", "127.0.0.1:0", "--data", t.TempDir())
	for _, http2 := range []bool{false, true} {
		tr := &http.Transport{Protocols: new(http.Protocols)}
		tr.Protocols.SetHTTP1(!http2)
		tr.Protocols.SetUnencryptedHTTP2(http2)
		client := &http.Client{Transport: tr, Timeout: time.Minute}
		for path, want := range map[string]string{"/now": "within", "/later": "outside"} {
			res, err := client.Get("http://" + p.Address("web") + path)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			if _ = res.Body.Close(); string(body) != want {
				t.Errorf("%s %s: got %q, want %q", res.Proto, path, body, want)
			}
		}
		tr.CloseIdleConnections()
	}
}
