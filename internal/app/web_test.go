package app

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/event"
)

// writeCertificate writes a self-signed certificate of a serial number.
func writeCertificate(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "a.crt"), filepath.Join(dir, "a.key")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	later := time.Now().Add(time.Duration(serial) * time.Hour) // file systems keep coarse times
	if err := os.Chtimes(cert, later, later); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func TestARenewedCertificateIsServed(t *testing.T) {
	dir := t.TempDir()
	cert, key := writeCertificate(t, dir, 1)
	cfg, err := certificate(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		c, err := cfg.GetCertificate(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return parsed.SerialNumber.Int64()
	}
	if serial() != 1 {
		t.Error("not the first")
	}
	writeCertificate(t, dir, 2)
	if serial() != 2 {
		t.Error("the renewed one is not served")
	}
	if err := os.WriteFile(cert, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if serial() != 2 {
		t.Error("a damaged file took the good one away")
	}
	if _, err := certificate(cert, key); err == nil {
		t.Error("a start with a damaged file succeeds")
	}
}

func TestBeyondLoopbackItWantsCredentials(t *testing.T) {
	hash, err := access.Hash("long enough")
	if err != nil {
		t.Fatal(err)
	}
	gate, err := access.New(access.Config{Users: []access.User{{Name: "ann", Hash: hash}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		address  string
		gate     *access.Gate
		insecure bool
		want     string // part of the error; empty: allowed
	}{
		{"127.0.0.1:0", nil, false, ""},
		{"localhost:0", nil, false, ""},
		{"[::1]:0", nil, false, ""},
		{":8083", nil, false, "console.users"},
		{"0.0.0.0:8083", nil, false, "--insecure-listen"},
		{"192.0.2.7:8083", nil, false, "is reachable from other machines"},
		{":8083", gate, false, ""},
		{":8083", nil, true, ""},
	} {
		a := &App{o: Options{Insecure: c.insecure, Log: slog.New(slog.DiscardHandler)}}
		err := a.guarded("console", c.address, c.gate, false)
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.address, err, c.want)
		}
	}
}

// Who sends nothing after its headers does not hold a handler, and streams last
// longer than a request may.
func TestARequestHasItsTimeAndAStreamHasMore(t *testing.T) {
	o := withoutKafka(t, event.RoleProxy)
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range a.web {
		if w.server.ReadTimeout == 0 || w.server.WriteTimeout == 0 {
			t.Errorf("%s: a request may last for ever", w.name)
		}
		w.server.ReadTimeout, w.server.WriteTimeout = 2*time.Second, 2*time.Second
	}
	runApp(t, a)
	resp, err := http.Get("http://" + a.Addr("admin") + "/api/v1/overview/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines, events := bufio.NewScanner(resp.Body), 0
	lines.Buffer(nil, 1<<20)
	for events < 5 && lines.Scan() { // one a second
		if strings.HasPrefix(lines.Text(), "event: ") {
			events++
		}
	}
	if events < 5 {
		t.Errorf("the stream ended after %d events: %v", events, lines.Err())
	}
	c, err := net.Dial("tcp", a.Addr("admin"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "POST /api/v1/instances/user-service-1/drain HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n")
	_ = c.SetReadDeadline(time.Now().Add(2 * time.Minute))
	if answer, err := io.ReadAll(c); err != nil {
		t.Errorf("a body that does not come holds the connection: %q %v", answer, err)
	}
}

// --read-only held for the console only: the same change went through by the
// admin listener of the same process, which asks for no login.
func TestReadOnlyHoldsForEveryListenerOfTheNode(t *testing.T) {
	o := withoutKafka(t, event.RoleProxy, event.RoleConsole)
	o.Document.Console.ReadOnly, o.Document.Console.Address = true, "127.0.0.1:0"
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	runApp(t, a)
	for _, name := range []string{"admin", "console"} {
		resp, err := http.Get("http://" + a.Addr(name) + "/api/v1/me")
		if err != nil {
			t.Fatal(err)
		}
		var me api.Me
		err = json.NewDecoder(resp.Body).Decode(&me)
		resp.Body.Close()
		if err != nil || !me.ReadOnly {
			t.Errorf("%s: %+v %v", name, me, err)
		}
	}
}
