package receiver

import (
	"crypto/tls"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/internal/test/mailtest"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

func mailTo(t *testing.T, address string, edit func(*config.Receiver)) *Receiver {
	t.Helper()
	c := config.Receiver{
		Name: "mail", Type: config.ReceiverSMTP, Address: address, Encryption: "none", Timeout: time.Minute,
		From: "smartlb <smartlb@example.com>", To: []string{"ops@example.com", "Ännchen <ann@example.com>"},
	}
	if edit != nil {
		edit(&c)
	}
	r, err := New(c, config.Alerting{ConsoleURL: testLinks.console, RunbookURL: testLinks.runbook})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAMail(t *testing.T) {
	s := mailtest.New(t, mailtest.Options{})
	if err := mailTo(t, s.Addr, nil).Send(t.Context(), messageOf(alertOf("i1"), ended(alertOf("i2"), begin.Add(time.Minute)))); err != nil {
		t.Fatal(err)
	}
	mails := s.Mails()
	if len(mails) != 1 || mails[0].From != "smartlb@example.com" || strings.Join(mails[0].To, " ") != "ops@example.com ann@example.com" {
		t.Fatalf("%+v", mails)
	}
	m := mails[0].Parsed(t)
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != "[FIRING:1, RESOLVED:1] instance-down service=shop" {
		t.Errorf("%s: %v", subject, err)
	}
	to, err := m.Header.AddressList("To")
	if err != nil || len(to) != 2 || to[1].Name != "Ännchen" {
		t.Errorf("%v: %v", to, err)
	}
	if date, err := m.Header.Date(); err != nil || !date.Equal(begin.Add(time.Minute)) {
		t.Errorf("%v: %v", date, err)
	}
	if id := m.Header.Get("Message-Id"); !strings.HasSuffix(id, "@example.com>") || m.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("%v", m.Header)
	}
	text, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil {
		t.Fatal(err)
	}
	want := `Firing:

shop/i1 is down
  3 of 3 reporters of its health say UNHEALTHY.
  alert:    instance-down (critical), fires since ` + fired + `
  labels:   instance=i1 service=shop
  runbook:  https://docs.example.com/alerts.md#instance-down
  console:  https://console.example.com/alerts?q=instance-down+instance%3Di1+service%3Dshop

Resolved:

shop/i2 is down
  3 of 3 reporters of its health say UNHEALTHY.
  alert:    instance-down (critical), fired from ` + fired + ` until ` + readable.Time(begin.Add(time.Minute)) + `
  labels:   instance=i2 service=shop
  runbook:  https://docs.example.com/alerts.md#instance-down
  console:  https://console.example.com/alerts?q=instance-down+instance%3Di2+service%3Dshop

All alerts: https://console.example.com/alerts
`
	if got := strings.ReplaceAll(string(text), "\r\n", "\n"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// Texts of alerts come from clients of Kafka.
func TestNoTextOfAnAlertBecomesAHeaderOrACommand(t *testing.T) {
	s := mailtest.New(t, mailtest.Options{})
	a := alertOf("i1")
	evil := "x\r\nBcc: evil@example.com\r\n\r\n.\r\nRCPT TO:<evil@example.com>\r\n"
	a.RuleID, a.Annotations.Summary, a.Annotations.Description = evil, evil, evil+".\r\nQUIT\r\n"
	a.Labels[evil] = evil
	m := messageOf(a)
	m.Labels = map[string]string{"alertname": evil}
	if err := mailTo(t, s.Addr, nil).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	mails := s.Mails()
	if len(mails) != 1 || len(mails[0].To) != 2 {
		t.Fatalf("%+v", mails)
	}
	parsed := mails[0].Parsed(t)
	if len(parsed.Header) != 9 || parsed.Header.Get("Bcc") != "" {
		t.Errorf("%v", parsed.Header)
	}
}

func TestEncryptionAndLoginOfMail(t *testing.T) {
	ca, foreign := certtest.New(t, "ours"), certtest.New(t, "foreign")
	dir := t.TempDir()
	ours, _ := certtest.Files(t, dir, "ours", ca.PEM(), nil)
	others, _ := certtest.Files(t, dir, "foreign", foreign.PEM(), nil)
	encryption := &tls.Config{Certificates: []tls.Certificate{ca.Issue(certtest.Options{}, "127.0.0.1")}, MinVersion: tls.VersionTLS12}
	t.Setenv("MAIL_PASSWORD", "hunter2hunter2")
	t.Setenv("MAIL_WRONG", "wrong-password")
	login := func(c *config.Receiver) { c.User, c.Password = "smartlb", "${env:MAIL_PASSWORD}" }
	with := func(encryption, ca string, more ...func(*config.Receiver)) func(*config.Receiver) {
		return func(c *config.Receiver) {
			c.Encryption, c.TLS.CA = encryption, ca
			for _, f := range more {
				f(c)
			}
		}
	}
	auth := mailtest.Options{TLS: encryption, User: "smartlb", Password: "hunter2hunter2"}
	authLogin, implicit := auth, auth
	authLogin.Login = true
	implicit.Implicit = true
	for _, row := range []struct {
		name      string
		server    mailtest.Options
		edit      func(*config.Receiver)
		want      string
		permanent bool
	}{
		{"STARTTLS", mailtest.Options{TLS: encryption}, with("starttls", ours), "", false},
		{"STARTTLS, PLAIN", auth, with("starttls", ours, login), "", false},
		{"STARTTLS, LOGIN", authLogin, with("starttls", ours, login), "", false},
		{"TLS, PLAIN", implicit, with("tls", ours, login), "", false},
		{"no STARTTLS", mailtest.Options{}, with("starttls", ours, login), "does not offer STARTTLS", true},
		{"unknown authority", mailtest.Options{TLS: encryption}, with("starttls", others), "name the authority of the receiver in tls.ca", false},
		{"unknown authority, TLS", implicit, with("tls", others), "name the authority of the receiver in tls.ca", false},
		{"wrong password", auth, with("starttls", ours, func(c *config.Receiver) { c.User, c.Password = "smartlb", "${env:MAIL_WRONG}" }), "login: 535", true},
		{"no login", auth, with("starttls", ours), "MAIL FROM: 502", true},
		{"no AUTH", mailtest.Options{TLS: encryption}, with("starttls", ours, login), "neither AUTH PLAIN nor AUTH LOGIN", true},
		{"busy", mailtest.Options{Busy: true}, nil, "DATA: 451", false},
		{"all recipients refused", mailtest.Options{Refuse: []string{"ops@example.com", "ann@example.com"}}, nil, "recipient ann@example.com: 550", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := mailtest.New(t, row.server)
			err := mailTo(t, s.Addr, row.edit).Send(t.Context(), messageOf(alertOf("i1")))
			if row.want == "" {
				if mails := s.Mails(); err != nil || len(mails) != 1 || !mails[0].Encrypted {
					t.Errorf("%v, %+v", err, mails)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(e.Text, row.want) || e.Permanent != row.permanent || e.Delivered || strings.Contains(e.Text, "hunter2") {
				t.Errorf("%+v", err)
			}
			if mails := s.Mails(); len(mails) != 0 {
				t.Errorf("%+v", mails)
			}
		})
	}
}

// The others have the mail; a second mail to them would be a duplicate.
func TestARefusedRecipientIsReportedOnce(t *testing.T) {
	s := mailtest.New(t, mailtest.Options{Refuse: []string{"ops@example.com"}})
	err := mailTo(t, s.Addr, nil).Send(t.Context(), messageOf(alertOf("i1")))
	var e *Error
	if !errors.As(err, &e) || !e.Delivered || !strings.Contains(e.Text, "recipient ops@example.com: 550") {
		t.Errorf("%+v", err)
	}
	if mails := s.Mails(); len(mails) != 1 || strings.Join(mails[0].To, "") != "ann@example.com" {
		t.Errorf("%+v", mails)
	}
}

func TestBadMailServersAreBounded(t *testing.T) {
	for _, row := range []struct {
		name, want string
		serve      func(net.Conn)
	}{
		{"silent", "no answer within 300ms", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }},
		{"closes", "EOF", func(net.Conn) {}},
		{"no mail server", "connection:", func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }},
		{"endless line", "more than 256 KiB", func(c net.Conn) { flood(c, "220 "+strings.Repeat("x", 1000)) }},
		{"endless reply", "more than 256 KiB", func(c net.Conn) { flood(c, "220-x\r\n") }},
		{"drips", "no answer within 300ms", func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, "220-x\r\n"); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			addr := porttest.Serve(t, row.serve)
			timeout := time.Minute
			if strings.Contains(row.want, "300ms") {
				timeout = 300 * time.Millisecond
			}
			err := mailTo(t, addr, func(c *config.Receiver) { c.Timeout = timeout }).Send(t.Context(), messageOf(alertOf("i1")))
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(e.Text, row.want) || e.Permanent {
				t.Errorf("%+v", err)
			}
		})
	}
}

func flood(c net.Conn, text string) {
	for {
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
	}
}
