package proxy

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

const (
	subjectField     = "X-Client-Subject"
	fingerprintField = "X-Client-Fingerprint"
)

// identified is a proxy whose instance answers with what it got in the fields about the client certificate, and in every
// other spelling of their names. A listener named plain is beside the one with TLS.
func identified(t *testing.T, ca *certtest.Authority, auth tls.ClientAuthType, edit func(*Config)) *bench {
	t.Helper()
	instance := upstreamtest.NewHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "subject %q fingerprint %q", r.Header.Values(subjectField), r.Header.Values(fingerprintField))
		for name := range r.Header {
			if name != subjectField && name != fingerprintField && strings.Contains(strings.ToLower(name), "client") {
				fmt.Fprintf(w, " and %s", name)
			}
		}
	}))
	b := runWith(t, true, []string{instance}, func(c *Config, _ *dispatch.Route) {
		c.Listeners = append(c.Listeners, Listener{Name: "plain", Addr: "127.0.0.1:0"})
		for i := range c.Listeners {
			c.Listeners[i].Reserved = []string{subjectField, fingerprintField}
			c.Listeners[i].Underscores = h1.KeepUnderscores
		}
		c.Listeners[0].ClientFields = ClientFields{Subject: subjectField, Fingerprint: fingerprintField}
		if edit != nil {
			edit(c)
		}
	})
	l := b.p.Listeners()
	l[0].Addr, l[1].Addr, l[1].TLS = "127.0.0.1:0", "127.0.0.1:0", nil
	l[0].TLS = identity().server.Clone()
	l[0].TLS.ClientAuth, l[0].TLS.ClientCAs = auth, ca.Pool()
	if err := b.p.SetListeners(l); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestInstancesLearnWhoTheClientIs(t *testing.T) {
	ca := certtest.New(t, "clients")
	me := ca.Issue(certtest.Options{Client: true, Subject: "me, myself\r\nX-Admin: é"}, "me")
	sum := sha256.Sum256(me.Certificate[0])
	none := `subject [] fingerprint []`
	known := fmt.Sprintf(`subject [%q] fingerprint [%q]`, `CN=me\, myself\0D\0AX-Admin: \C3\A9`, hex.EncodeToString(sum[:]))
	forged := ""
	for _, name := range []string{subjectField, fingerprintField} {
		for _, spelling := range []string{name, strings.ToLower(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", "."), strings.Replace(name, "-", "_", 1)} {
			forged += spelling + ": CN=forged\r\n"
		}
	}
	for name, tc := range map[string]struct {
		listener string
		cert     *tls.Certificate
		want     string
	}{
		"a certificate":    {"web", &me, known},
		"no certificate":   {"web", nil, none},
		"a plain listener": {"plain", nil, none},
	} {
		for version, v := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
			t.Run(name+", "+version, func(t *testing.T) {
				b := identified(t, ca, tls.VerifyClientCertIfGiven, nil)
				b.addr = b.p.Addr(tc.listener).String()
				cfg := identity().client.Clone()
				cfg.MaxVersion, cfg.ClientSessionCache = v, tls.NewLRUClientSessionCache(1)
				if tc.cert != nil {
					cfg.Certificates = []tls.Certificate{*tc.cert}
				}
				for i := range 2 { // the second connection resumes the session of the first
					nc := b.connect()
					c := over(t, nc, cfg)
					if tc.listener == "plain" {
						c = &client{Conn: nc, tb: t, r: bufio.NewReader(nc)}
					}
					for _, fields := range []string{"", forged, "Connection: " + subjectField + "\r\n", "Connection: keep-alive, " + fingerprintField + "\r\n" + forged} {
						c.send("GET / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n")
						if res, body := c.response("GET"); res.StatusCode != 200 || body != tc.want {
							t.Errorf("connection %d: the instance got %d %s, want %s", i, res.StatusCode, body, tc.want)
						}
					}
					if tc.listener == "web" && c.Conn.(*tls.Conn).ConnectionState().DidResume != (i == 1) {
						t.Errorf("connection %d: resumed %v", i, i == 0)
					}
					_ = nc.Close()
				}
			})
		}
	}
}

// A part of a subject would be the name of another client.
func TestALongSubjectIsLeftOut(t *testing.T) {
	ca := certtest.New(t, "clients")
	b := identified(t, ca, tls.RequireAndVerifyClientCert, nil)
	cfg := identity().client.Clone()
	cfg.Certificates = []tls.Certificate{ca.Issue(certtest.Options{Client: true, Subject: strings.Repeat("a", maxSubject)}, "me")}
	c := over(t, b.connect(), cfg)
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, body := c.response("GET"); !strings.HasPrefix(body, `subject [] fingerprint ["`) {
		t.Errorf("the instance got %.100s", body)
	}
}

// Names that a reload adds do not apply to a request whose head was read before: its own field was not removed.
func TestNewNamesApplyToTheNextRequest(t *testing.T) {
	ca := certtest.New(t, "clients")
	b := identified(t, ca, tls.VerifyClientCertIfGiven, func(c *Config) {
		c.Listeners[0].Reserved, c.Listeners[0].ClientFields = nil, ClientFields{}
	})
	cfg := identity().client.Clone()
	cfg.Certificates = []tls.Certificate{ca.Issue(certtest.Options{Client: true}, "me")}
	c := over(t, b.connect(), cfg)
	const request = "GET / HTTP/1.1\r\nHost: h\r\n" + subjectField + ": CN=forged\r\n\r\n"
	c.send(request)
	if _, body := c.response("GET"); !strings.HasPrefix(body, `subject ["CN=forged"] fingerprint []`) {
		t.Errorf("without names: %s", body)
	}
	l := b.p.Listeners()
	l[0].Addr, l[1].Addr = "127.0.0.1:0", "127.0.0.1:0"
	l[0].Reserved, l[0].ClientFields = []string{subjectField}, ClientFields{Subject: subjectField}
	if err := b.p.SetListeners(l); err != nil {
		t.Fatal(err)
	}
	c.send(request)
	if _, body := c.response("GET"); body != `subject ["CN=me"] fingerprint []` {
		t.Errorf("with names: %s", body)
	}
}

func TestARefusedClientIsCountedAndLogged(t *testing.T) {
	ca, other := certtest.New(t, "clients"), certtest.New(t, "clients")
	for name, tc := range map[string]struct {
		cert *tls.Certificate
		want string
	}{
		"no certificate":               {nil, "didn't provide a certificate"},
		"another authority":            {issue(other, certtest.Options{Client: true, Subject: "stranger\n"}), `CN=stranger\\0A`},
		"an expired certificate":       {issue(ca, certtest.Options{Client: true, NotAfter: time.Now().Add(-time.Minute)}), "expired"},
		"a certificate for a server":   {issue(ca, certtest.Options{}), "incompatible key usage"},
		"a certificate that is no DER": {&tls.Certificate{Certificate: [][]byte{{1, 2, 3}}, PrivateKey: issue(ca, certtest.Options{Client: true}).PrivateKey}, "parse client certificate"},
	} {
		for version, v := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
			t.Run(name+", "+version, func(t *testing.T) {
				said := new(logBuf)
				b := identified(t, ca, tls.RequireAndVerifyClientCert, func(c *Config) {
					start := time.Now()
					c.Now = func() int64 { return int64(time.Since(start) + time.Second) } // the log has a line a second
					c.Log = slog.New(slog.NewTextHandler(said, nil))
				})
				cfg := identity().client.Clone()
				cfg.MaxVersion = v
				if tc.cert != nil {
					cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return tc.cert, nil }
				}
				nc := b.connect()
				defer nc.Close()
				_ = nc.SetDeadline(time.Now().Add(testTimeout))
				if _, err := tls.Client(nc, cfg).Read(make([]byte, 1)); err == nil {
					t.Error("the client is accepted")
				}
				eventually(t, "the handshake is counted", func() bool { return b.p.Stats().Handshakes[HandshakeClientCert] == 1 })
				b.stop()
				if log := said.String(); !strings.Contains(log, "reason=client-certificate") || !strings.Contains(log, tc.want) {
					t.Errorf("log: %s", log)
				}
			})
		}
	}
}

func issue(ca *certtest.Authority, o certtest.Options) *tls.Certificate {
	c := ca.Issue(o, "me")
	return &c
}
