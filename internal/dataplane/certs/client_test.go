package certs

import (
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

// handshake connects to a server of TLS with the present settings of c.
func handshake(t *testing.T, c *Client, addr string) error {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	conn := tls.Client(nc, c.TLS("127.0.0.1"))
	_ = nc.SetDeadline(time.Now().Add(2 * time.Minute))
	if err := conn.Handshake(); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1)) // TLS 1.3 reports a refused certificate of the client with the first bytes
	return err
}

// Changed files are used for the next connection; bad ones are not.
func TestFilesOfAClientChange(t *testing.T) {
	one, two, dir := certtest.New(t, "one"), certtest.New(t, "two"), t.TempDir()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{two.Issue(certtest.Options{}, "127.0.0.1")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: two.Pool(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = c.Write([]byte("x"))
			}()
		}
	}()
	written := time.Now()
	put := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		written = written.Add(time.Second) // the file system's clock may stand still for some milliseconds
		if err := os.Chtimes(path+".new", written, written); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, key := one.IssuePEM(certtest.Options{Client: true, Subject: "proxy"})
	cfg := ClientConfig{CA: put("ca", one.PEM()), Pair: Pair{put("cert", cert), put("key", key)}, Protocol: "http/1.1"}
	c, err := LoadClient(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	if err := handshake(t, c, addr); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("another authority: %v", err)
	}
	put("ca", two.PEM())
	c.Refresh()
	if err := handshake(t, c, addr); err == nil || !strings.Contains(err.Error(), "remote error") {
		t.Errorf("a client certificate of another authority: %v", err)
	}
	cert, key = two.IssuePEM(certtest.Options{Client: true, Subject: "proxy"})
	put("cert", cert)
	c.Refresh() // the key belongs to the certificate before
	put("key", key)
	c.Refresh()
	if err := handshake(t, c, addr); err != nil {
		t.Errorf("with the new files: %v", err)
	}
	for name, text := range map[string]string{"ca": "", "cert": "nonsense", "key": "-----BEGIN PRIVATE KEY-----\n"} {
		put(name, []byte(text))
		c.Refresh()
		if err := handshake(t, c, addr); err != nil {
			t.Errorf("after a bad %s: %v", name, err)
		}
	}
}

func TestClientFilesThatCannotBeRead(t *testing.T) {
	ca, dir := certtest.New(t, "one"), t.TempDir()
	cert, key := ca.IssuePEM(certtest.Options{Client: true, Subject: "proxy"})
	_, other := ca.IssuePEM(certtest.Options{Client: true, Subject: "other"})
	certFile, keyFile := certtest.Files(t, dir, "proxy", cert, key)
	_, otherKey := certtest.Files(t, dir, "other", cert, other)
	for want, cfg := range map[string]ClientConfig{
		"no such file":           {CA: dir + "/nothing.pem"},
		"is not the certificate": {CA: certFile},
		keyFile + ": block":      {CA: keyFile},
		"with key " + otherKey:   {Pair: Pair{certFile, otherKey}},
		dir + ": is a directory": {Pair: Pair{dir, keyFile}},
	} {
		if _, err := LoadClient(cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", cfg, err, want)
		}
	}
}
