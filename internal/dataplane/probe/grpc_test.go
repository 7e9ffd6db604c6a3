package probe

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// healthServer answers as grpc.health.v1 does, for services that are named after their answer.
func healthServer(t *testing.T, secure bool) (addr string, security *upstream.TLS) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/grpc.health.v1.Health/Check" || r.Header.Get("Content-Type") != "application/grpc" || len(body) < 5 || int(binary.BigEndian.Uint32(body[1:])) != len(body)-5 {
			t.Errorf("got %s %v %q, %v", r.URL.Path, r.Header, body, err)
		}
		service := ""
		if m := body[5:]; len(m) > 2 {
			service = string(m[2:])
		}
		w.Header().Set("Content-Type", "application/grpc")
		answers := map[string]string{"": "\x00\x00\x00\x00\x02\x08\x01", "down": "\x00\x00\x00\x00\x02\x08\x02", "unset": "\x00\x00\x00\x00\x00", "odd": "\x00\x00\x00\x00\x02\x08\x09", "cut": "\x00\x00"}
		answer, known := answers[service]
		switch {
		case service == "none":
			w.Header().Set("Grpc-Status", "12")
		case service == "http":
			w.WriteHeader(404)
		case !known:
			w.Header().Set("Grpc-Status", "5")
		default:
			w.Header().Set("Trailer", "Grpc-Status")
			_, _ = io.WriteString(w, answer)
			w.Header().Set("Grpc-Status", "0")
		}
	}))
	if secure {
		s.EnableHTTP2 = true
		s.StartTLS()
		roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		security = &upstream.TLS{Config: func(host string) *tls.Config {
			return &tls.Config{RootCAs: roots, ServerName: host, NextProtos: []string{"h2"}}
		}}
	} else {
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
	}
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), security
}

func TestGRPCCheck(t *testing.T) {
	for _, secure := range []bool{false, true} {
		addr, security := healthServer(t, secure)
		for service, want := range map[string]string{
			"": "SERVING", "down": "NOT_SERVING", "unset": "UNKNOWN", "odd": "malformed answer", "cut": "malformed answer",
			"none": "does not implement grpc.health.v1", "http": "not an answer of gRPC: HTTP status 404", "carts": "does not know the service carts",
		} {
			r := check(context.Background(), Target{Addr: addr, Check: "grpc", HTTP2: true, TLS: security, Path: service, Timeout: time.Minute}, expectation{})
			if r.OK != (want == "SERVING") || !strings.Contains(r.Body, want) {
				t.Errorf("tls=%v %q: got %v %q, want %q", secure, service, r.OK, r.Body, want)
			}
		}
	}
}

// An http check speaks the protocol of the instances.
func TestHTTPCheckOverHTTP2AndTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	for protocol, want := range map[string]string{"h2": "HTTP/2.0", "http/1.1": "HTTP/1.1"} {
		security := &upstream.TLS{Config: func(host string) *tls.Config {
			return &tls.Config{RootCAs: roots, ServerName: host, NextProtos: []string{protocol}}
		}}
		target := Target{Addr: s.Listener.Addr().String(), Check: "http", Path: "/health", HTTP2: protocol == "h2", TLS: security, Timeout: time.Minute}
		if r := check(context.Background(), target, newExpectation(target.Expect)); !r.OK || r.Body != want {
			t.Errorf("%s: got %v %q", protocol, r.OK, r.Body)
		}
		target.TLS = &upstream.TLS{Config: func(host string) *tls.Config { return &tls.Config{ServerName: host, NextProtos: []string{protocol}} }}
		if r := check(context.Background(), target, newExpectation(target.Expect)); r.OK || !strings.Contains(r.Body, "certificate") {
			t.Errorf("%s, unknown authority: got %v %q", protocol, r.OK, r.Body)
		}
	}
}
