package e2e

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// serveH2C starts an instance with HTTP/2 without TLS, and also with HTTP/1.1 if http1 is set. It ends with the test.
func serveH2C(t *testing.T, http1 bool, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(http1)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s
}
