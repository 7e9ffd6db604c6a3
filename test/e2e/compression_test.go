package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Pages of the real process, on HTTP/1.1 and HTTP/2 on both sides, in each coding.
func TestCompressionOfTheRealProcess(t *testing.T) {
	t.Parallel()
	page := strings.Repeat("<p>the same again</p>\n", 10000)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Etag", `"page"`)
		if r.URL.Path == "/chunked" {
			w.(http.Flusher).Flush()
		}
		_, _ = io.WriteString(w, page)
	})
	one := httptest.NewServer(handler)
	defer one.Close()
	two := serveH2C(t, false, handler)
	file := mustWrite(t, fmt.Sprintf(`listeners: [{name: web, address: "127.0.0.1:0"}]
routes:
  - {name: one, hosts: [one.example], path: {prefix: /}, service: one, compression: {}}
  - {name: two, hosts: [two.example], path: {prefix: /}, service: two, compression: {encodings: [gzip, br, zstd]}}
services:
  - {id: one, instances: [{id: one-1, address: %q}]}
  - {id: two, protocol: h2c, instances: [{id: two-1, address: %q}]}
`, one.Listener.Addr(), two.Listener.Addr()))
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--admin", "127.0.0.1:0", "--data", t.TempDir())
	for _, http2 := range []bool{false, true} {
		tr := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
		tr.Protocols.SetHTTP1(!http2)
		tr.Protocols.SetUnencryptedHTTP2(http2)
		defer tr.CloseIdleConnections()
		for _, host := range []string{"one.example", "two.example"} {
			for _, path := range []string{"/", "/chunked"} {
				for accept, want := range map[string]string{"zstd": "zstd", "br": "br", "gzip": "gzip", "": "", "gzip;q=0.5, br": "br", "br, gzip, zstd": map[string]string{"one.example": "zstd", "two.example": "gzip"}[host]} {
					req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+p.Address("web")+path, nil)
					req.Host = host
					if accept != "" {
						req.Header.Set("Accept-Encoding", accept)
					}
					res, err := tr.RoundTrip(req)
					if err != nil {
						t.Fatal(err)
					}
					raw, err := io.ReadAll(res.Body)
					_ = res.Body.Close()
					if err != nil {
						t.Fatal(err)
					}
					tag := `W/"page"`
					if want == "" {
						tag = `"page"`
					}
					if h := res.Header; h.Get("Content-Encoding") != want || h.Get("Vary") != "Accept-Encoding" || h.Get("Etag") != tag || res.StatusCode != 200 {
						t.Errorf("%s%s for %q: %d %v", host, path, accept, res.StatusCode, h)
					}
					if got := plain(t, want, raw); got != page || want != "" && len(raw) > len(page)/20 {
						t.Errorf("%s%s for %q: %d bytes became %d", host, path, accept, len(raw), len(got))
					}
				}
			}
		}
	}
}

// plain decodes a body.
func plain(t *testing.T, coding string, body []byte) string {
	t.Helper()
	var r io.Reader = bytes.NewReader(body)
	var err error
	switch coding {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "br":
		r = brotli.NewReader(r)
	case "zstd":
		r, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: %v", coding, err)
	}
	return string(text)
}
