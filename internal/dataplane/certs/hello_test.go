package certs

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

// said is a connection on which a client has said something and then left.
type said struct {
	io.Reader
	out bytes.Buffer
}

func (s *said) Write(p []byte) (int, error)    { return s.out.Write(p) }
func (*said) Close() error                     { return nil }
func (*said) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*said) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*said) SetDeadline(time.Time) error      { return nil }
func (*said) SetReadDeadline(time.Time) error  { return nil }
func (*said) SetWriteDeadline(time.Time) error { return nil }

// helloOf returns what a client sends first.
func helloOf(cfg *tls.Config) []byte {
	s := &said{Reader: strings.NewReader("")}
	_ = tls.Client(s, cfg).Handshake()
	return s.out.Bytes()
}

// FuzzHello sends any bytes as a ClientHello: the handshake ends, and a client that asks for a name of a certificate gets
// no certificate of another name.
func FuzzHello(f *testing.F) {
	ca, dir := certtest.New(f, "ca"), f.TempDir()
	var pairs []Pair
	for file, names := range map[string][]string{"one": {"one.example"}, "wild": {"*.wild.example"}, "two": {"two.example", "zwei.example"}} {
		cert, key := ca.IssuePEM(certtest.Options{}, names...)
		c, k := certtest.Files(f, dir, file, cert, key)
		pairs = append(pairs, Pair{c, k})
	}
	s, err := Load(Config{MinVersion: tls.VersionTLS12, Protocols: []string{"h2", "http/1.1"}, Pairs: pairs})
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"", "one.example", "ONE.example.", "a.wild.example", "wild.example", "zwei.example", "unknown.example"} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			f.Add(helloOf(&tls.Config{ServerName: name, InsecureSkipVerify: true, MaxVersion: version, NextProtos: []string{"h2"}}))
		}
	}
	f.Fuzz(func(t *testing.T, bytesOfClient []byte) {
		cfg := s.TLS().Clone()
		cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, err := s.choose(hello)
			if err != nil || cert == nil {
				return cert, err
			}
			name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
			for _, other := range s.certs {
				if name != "" && other.Leaf.VerifyHostname(name) == nil && usable(hello, []*tls.Certificate{other}) != nil && cert.Leaf.VerifyHostname(name) != nil {
					t.Errorf("%q gets the certificate of %v, not that of %v", hello.ServerName, cert.Leaf.DNSNames, other.Leaf.DNSNames)
				}
			}
			return cert, nil
		}
		if err := tls.Server(&said{Reader: bytes.NewReader(bytesOfClient)}, cfg).Handshake(); err == nil {
			t.Error("a handshake with a client that only said hello")
		} else if errors.Is(err, io.ErrNoProgress) {
			t.Error(err)
		}
	})
}
