// Package mailtest is a mail server for tests. Only tests use it.
package mailtest

import (
	"crypto/tls"
	"io"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Options of a server.
type Options struct {
	TLS            *tls.Config // offers STARTTLS; nil: no encryption
	Implicit       bool        // TLS from the first byte
	User, Password string      // login that the server requires; empty: none
	Login          bool        // offer AUTH LOGIN only
	Refuse         []string    // recipients that get 550
	Busy           bool        // answer 451 to every mail
}

// Mail is a mail that the server took.
type Mail struct {
	From      string
	To        []string
	Encrypted bool
	Raw       string
}

// Parsed returns header and body of a mail, decoded.
func (m Mail) Parsed(t testing.TB) *mail.Message {
	t.Helper()
	msg, err := mail.ReadMessage(strings.NewReader(m.Raw))
	if err != nil {
		t.Fatalf("%v: %q", err, m.Raw)
	}
	return msg
}

// Server is a running server.
type Server struct {
	Addr string

	o     Options
	mu    sync.Mutex
	mails []Mail
}

// New starts a server that ends with the test.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: l.Addr().String(), o: o}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &session{s: s, c: c}, nil }))
	server.Domain, server.AllowInsecureAuth, server.ErrorLog = "mail.test", true, quiet{}
	if o.Implicit {
		l = tls.NewListener(l, o.TLS)
	} else {
		server.TLSConfig = o.TLS
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return s
}

// Mails returns the mails that the server took so far.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

type session struct {
	s      *Server
	c      *smtp.Conn
	mail   Mail
	logged bool
}

func (x *session) AuthMechanisms() []string {
	switch {
	case x.s.o.User == "":
		return nil
	case x.s.o.Login:
		return []string{"LOGIN"}
	}
	return []string{"XOAUTH2", sasl.Plain}
}

func (x *session) Auth(mechanism string) (sasl.Server, error) {
	if mechanism == "LOGIN" {
		return &loginServer{x: x}, nil
	}
	return sasl.NewPlainServer(func(_, user, password string) error { return x.check(user, password) }), nil
}

func (x *session) check(user, password string) error {
	if user != x.s.o.User || password != x.s.o.Password {
		return smtp.ErrAuthFailed
	}
	x.logged = true
	return nil
}

// loginServer is AUTH LOGIN, which the library no longer has.
type loginServer struct {
	x    *session
	step int
	user string
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	l.step++
	switch l.step {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.x.check(l.user, string(response))
}

func (x *session) Reset()        { x.mail = Mail{} }
func (x *session) Logout() error { return nil }

func (x *session) Mail(from string, _ *smtp.MailOptions) error {
	if x.s.o.User != "" && !x.logged {
		return smtp.ErrAuthRequired
	}
	_, x.mail.Encrypted = x.c.TLSConnectionState()
	x.mail.From = from
	return nil
}

func (x *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	for _, refused := range x.s.o.Refuse {
		if to == refused {
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
		}
	}
	x.mail.To = append(x.mail.To, to)
	return nil
}

func (x *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if x.s.o.Busy {
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "come back later"}
	}
	x.mail.Raw = string(raw)
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	x.s.mails = append(x.s.mails, x.mail)
	return nil
}
