package upstreamtest

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// NewHTTP starts a net/http server and returns its address.
func NewHTTP(tb testing.TB, h http.Handler) string {
	tb.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	tb.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// Echo responds with the request: method, target, host and the length of the body in the first line, then the body.
func Echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = fmt.Fprintf(w, "%s %s %s %d\n", r.Method, r.URL.RequestURI(), r.Host, len(body))
	_, _ = w.Write(body)
}
