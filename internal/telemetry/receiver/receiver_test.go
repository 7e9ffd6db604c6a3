package receiver

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/grouping"
	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/internal/test/leaktest"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var begin = time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)

func alertOf(instance string) event.Alert {
	return event.Alert{
		Fingerprint: "00112233445566" + instance, AlertID: instance, RuleID: "instance-down", Status: event.AlertFiring, Severity: event.SeverityCritical,
		Labels:      map[string]string{"service": "shop", "instance": instance},
		Annotations: event.Annotations{Summary: "shop/" + instance + " is down", Description: "3 of 3 reporters of its health say UNHEALTHY."},
		StartsAt:    begin, FiredAt: begin.Add(3 * time.Second), UpdatedAt: begin.Add(3 * time.Second), Seq: 1,
	}
}

func messageOf(alerts ...event.Alert) grouping.Message {
	return grouping.Message{
		Key: `{}:{alertname="instance-down", service="shop"}`, Labels: map[string]string{"alertname": "instance-down", "service": "shop"},
		Alerts: alerts, At: begin.Add(time.Minute),
	}
}

// hooks returns a receiver of each type that posts JSON, for one address.
func hooks(t *testing.T, address string, edit func(*config.Receiver)) map[string]*Receiver {
	t.Helper()
	out := map[string]*Receiver{}
	for _, kind := range []string{config.ReceiverAlertmanager, config.ReceiverWebhook, config.ReceiverSlack} {
		c := config.Receiver{Name: "ops", Type: kind, URL: address, Timeout: time.Minute, SendResolved: true}
		if edit != nil {
			edit(&c)
		}
		r, err := New(c, config.DefaultAlerting())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		out[kind] = r
	}
	return out
}

// failure sends a message and returns the failure.
func failure(t *testing.T, r *Receiver) Error {
	t.Helper()
	err := r.Send(t.Context(), messageOf(alertOf("i1")))
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%s: no failure: %v", r.c.Type, err)
	}
	return *e
}

func TestBadReceiversAreBounded(t *testing.T) {
	other := atomic.Int64{}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { other.Add(1) }))
	t.Cleanup(elsewhere.Close)
	for _, row := range []struct {
		name      string
		answer    http.HandlerFunc
		text      string
		permanent bool
		after     time.Duration
	}{
		{"refuses", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "bad labels", 400) }, "400 Bad Request: bad labels", true, 0},
		{"fails", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, "503 Service Unavailable", false, 0},
		{"is busy", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "30"); w.WriteHeader(429) }, "429 Too Many Requests", false, 30 * time.Second},
		{"demands a year", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "99999999999")
			w.WriteHeader(503)
		}, "503", false, maxRetryAfter},
		{"demands a day", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "86400")
			w.WriteHeader(503)
		}, "503", false, maxRetryAfter},
		{"redirects", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, "redirects are not followed", true, 0},
		{"has a large error", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			for range 1000 {
				_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
			}
		}, "xxx...", false, 0},
		{"has a large head", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, "larger than 64 KiB", false, 0},
		{"has control characters", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "a\x1b[2Jb\r\nc", 400) }, "c", true, 0},
		{"closes", func(w http.ResponseWriter, _ *http.Request) {
			c, _, _ := http.NewResponseController(w).Hijack()
			_ = c.Close()
		}, "EOF", false, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := httptest.NewServer(row.answer)
			defer s.Close()
			for _, r := range hooks(t, s.URL, nil) {
				e := failure(t, r)
				if !strings.Contains(e.Text, row.text) || e.Permanent != row.permanent || e.RetryAfter != row.after || e.Delivered {
					t.Errorf("%s: %+v", r.c.Type, e)
				}
				if len(e.Text) > maxText || strings.ContainsAny(e.Text, "\x1b\r\n") {
					t.Errorf("%s: %q", r.c.Type, e.Text)
				}
			}
		})
	}
	if n := other.Load(); n != 0 {
		t.Errorf("%d requests followed a redirect", n)
	}
}

func TestAReceiverThatIsDownOrSilent(t *testing.T) {
	for _, r := range hooks(t, "http://"+porttest.Refused(t), nil) {
		if e := failure(t, r); !strings.Contains(e.Text, "connection refused") || e.Permanent {
			t.Errorf("%s: %+v", r.c.Type, e)
		}
	}
	silent := porttest.Serve(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	for _, r := range hooks(t, "http://"+silent, func(c *config.Receiver) { c.Timeout = 200 * time.Millisecond }) {
		if e := failure(t, r); e.Text != "no answer within 200ms" || e.Permanent {
			t.Errorf("%s: %+v", r.c.Type, e)
		}
	}
}

// The status says that the receiver has the message. Sending it again would be a second message.
func TestABodyThatDoesNotEndIsNoFailure(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(200)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	for _, r := range hooks(t, s.URL, func(c *config.Receiver) { c.Timeout = 500 * time.Millisecond }) {
		if err := r.Send(t.Context(), messageOf(alertOf("i1"))); err != nil {
			t.Errorf("%s: %v", r.c.Type, err)
		}
	}
}

func TestTLSOfReceivers(t *testing.T) {
	ours, foreign := certtest.New(t, "ours"), certtest.New(t, "foreign")
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.PeerCertificates) != 1 {
			w.WriteHeader(403)
		}
	}))
	s.TLS = serverTLS(ours.Issue(certtest.Options{}, "127.0.0.1"), ours)
	s.Config.ErrorLog = discard()
	s.StartTLS()
	t.Cleanup(s.Close)
	dir := t.TempDir()
	ca, _ := certtest.Files(t, dir, "ours", ours.PEM(), nil)
	otherCA, _ := certtest.Files(t, dir, "foreign", foreign.PEM(), nil)
	certPEM, keyPEM := ours.IssuePEM(certtest.Options{Client: true}, "node")
	cert, key := certtest.Files(t, dir, "node", certPEM, keyPEM)
	for _, row := range []struct {
		name string
		tls  config.ReceiverTLS
		want string
	}{
		{"the authority", config.ReceiverTLS{CA: ca, Cert: cert, Key: key}, ""},
		{"insecure", config.ReceiverTLS{Insecure: true, Cert: cert, Key: key}, ""},
		{"no certificate", config.ReceiverTLS{CA: ca}, "403"},
		{"unknown authority", config.ReceiverTLS{}, "name the authority of the receiver in tls.ca"},
		{"another authority", config.ReceiverTLS{CA: otherCA}, "name the authority of the receiver in tls.ca"},
		{"another name", config.ReceiverTLS{CA: ca, ServerName: "other.example.com"}, "tls.serverName"},
	} {
		for _, r := range hooks(t, s.URL, func(c *config.Receiver) { c.TLS = row.tls }) {
			err := r.Send(t.Context(), messageOf(alertOf("i1")))
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("%s, %s: %v", row.name, r.c.Type, err)
			}
		}
	}
	for _, bad := range []config.ReceiverTLS{{CA: dir + "/none"}, {CA: key}, {Cert: cert, Key: ca}} {
		if _, err := New(config.Receiver{Name: "ops", Type: config.ReceiverWebhook, URL: s.URL, TLS: bad}, config.Alerting{}); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// A receiver that repeats what it got must not bring secrets into logs, and neither must an error of the network.
func TestErrorsContainNoSecrets(t *testing.T) {
	t.Setenv("HOOK_PASSWORD", "hunter2-hunter2")
	t.Setenv("HOOK_TOKEN", "token-0123456789")
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		_, _ = fmt.Fprintf(w, "%s %s %s", r.URL, r.Header.Get("Authorization"), r.URL.Query().Get("key"))
	}))
	t.Cleanup(echo.Close)
	for name, address := range map[string]string{"echo": echo.URL, "down": "http://" + porttest.Refused(t)} {
		t.Setenv("HOOK_URL", address+"/services/T000/SECRETPATH?key=SECRETKEY")
		for _, edit := range []func(*config.Receiver){
			func(c *config.Receiver) { c.URL, c.URLSecret = "", "${env:HOOK_URL}" },
			func(c *config.Receiver) { c.User, c.Password = "smartlb", "${env:HOOK_PASSWORD}" },
			func(c *config.Receiver) { c.BearerToken = "${env:HOOK_TOKEN}" },
		} {
			for _, r := range hooks(t, address, edit) {
				e := failure(t, r)
				for _, s := range []string{"hunter2", "token-", "SECRET", base64.StdEncoding.EncodeToString([]byte("smartlb:hunter2-hunter2"))} {
					if strings.Contains(e.Text, s) || strings.Contains(r.Target(), s) {
						t.Errorf("%s, %s: %q at %s", name, r.c.Type, e.Text, r.Target())
					}
				}
			}
		}
	}
}

func TestCredentials(t *testing.T) {
	t.Setenv("HOOK_PASSWORD", "hunter2")
	t.Setenv("HOOK_TOKEN", "token")
	var mu sync.Mutex
	var got []string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Header.Get("Authorization"))
	}))
	t.Cleanup(s.Close)
	send := func(edit func(*config.Receiver)) error {
		return hooks(t, s.URL, edit)[config.ReceiverWebhook].Send(t.Context(), messageOf(alertOf("i1")))
	}
	for _, edit := range []func(*config.Receiver){
		func(c *config.Receiver) { c.User, c.Password = "ann", "${env:HOOK_PASSWORD}" },
		func(c *config.Receiver) { c.BearerToken = "${env:HOOK_TOKEN}" },
	} {
		if err := send(edit); err != nil {
			t.Error(err)
		}
	}
	if want := []string{"Basic " + base64.StdEncoding.EncodeToString([]byte("ann:hunter2")), "Bearer token"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q", got)
	}
	t.Setenv("HOOK_TOKEN", "a\r\nX-Other: b")
	t.Setenv("HOOK_PLAIN", "http://alerts.example.com/hook")
	t.Setenv("HOOK_BAD", "ftp://SECRET")
	for want, edit := range map[string]func(*config.Receiver){
		"no token has": func(c *config.Receiver) { c.BearerToken = "${env:HOOK_TOKEN}" },
		"is not set":   func(c *config.Receiver) { c.BearerToken = "${env:HOOK_NONE}" },
		"plain text": func(c *config.Receiver) {
			c.URL, c.URLSecret, c.User, c.Password = "", "${env:HOOK_PLAIN}", "ann", secret.Ref("${env:HOOK_PASSWORD}")
		},
		"want an address": func(c *config.Receiver) { c.URL, c.URLSecret = "", "${env:HOOK_BAD}" },
	} {
		err := send(edit)
		var e *Error
		if !errors.As(err, &e) || !e.Permanent || !strings.Contains(e.Text, want) || strings.Contains(e.Text, "SECRET") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestACancelledMessageEnds(t *testing.T) {
	silent := porttest.Serve(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	mail, err := New(config.Receiver{Name: "mail", Type: config.ReceiverSMTP, Address: silent, Encryption: "none", From: "a@example.com", To: []string{"b@example.com"}, Timeout: time.Hour}, config.Alerting{})
	if err != nil {
		t.Fatal(err)
	}
	all := hooks(t, "http://"+silent, func(c *config.Receiver) { c.Timeout = time.Hour })
	all["smtp"] = mail
	for kind, r := range all {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Send(ctx, messageOf(alertOf("i1"))) }()
		time.AfterFunc(50*time.Millisecond, cancel)
		if err := <-done; err == nil {
			t.Errorf("%s: delivered", kind)
		}
	}
}
