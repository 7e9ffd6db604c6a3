package receiver

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"os"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/grouping"
)

// mailer sends mails through one server.
type mailer struct {
	c     config.Receiver
	tls   *tls.Config
	links links
}

// maxDialogue limits what is read from a mail server in one session.
const maxDialogue = 256 << 10

func (m *mailer) send(ctx context.Context, msg grouping.Message, s *secrets) error {
	password, err := s.resolve("password", m.c.Password)
	if err != nil {
		return err
	}
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.c.Address)
	if err != nil {
		return &Error{Text: err.Error()}
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })()
	client, err := m.greet(raw)
	if err != nil {
		return mailError("connection", err)
	}
	defer func() { _ = client.Close() }()
	if m.c.User != "" {
		if err := m.logIn(client, password); err != nil {
			return err
		}
	}
	return m.deliver(client, msg)
}

// greet begins the dialogue, encrypted as configured.
func (m *mailer) greet(raw net.Conn) (*smtp.Client, error) {
	host, _, _ := net.SplitHostPort(m.c.Address)
	encryption := m.tls.Clone()
	if encryption.ServerName == "" {
		encryption.ServerName = host
	}
	var conn net.Conn = &boundedConn{Conn: raw, left: maxDialogue}
	if m.c.Encryption == "tls" {
		conn = tls.Client(conn, encryption)
	}
	client, err := smtp.NewClient(conn, host)
	if err != nil {
		return nil, err
	}
	if err := client.Hello(helloName()); err != nil {
		return nil, err
	}
	if m.c.Encryption != "starttls" {
		return client, nil
	}
	if ok, _ := client.Extension("STARTTLS"); !ok {
		return nil, permanent("the server does not offer STARTTLS; use encryption: tls, or none")
	}
	return client, client.StartTLS(encryption)
}

// helloName returns the name of this machine for EHLO.
func helloName() string {
	name, err := os.Hostname()
	if err != nil || name == "" || strings.ContainsFunc(name, func(r rune) bool {
		return !(r == '-' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	}) {
		return "localhost"
	}
	return name
}

func (m *mailer) logIn(client *smtp.Client, password string) error {
	_, offered := client.Extension("AUTH")
	auth := &login{user: m.c.User, password: password}
	for _, name := range strings.Fields(strings.ToUpper(offered)) {
		if name == "PLAIN" || name == "LOGIN" && auth.mechanism == "" {
			auth.mechanism = name
		}
	}
	if auth.mechanism == "" {
		return permanent("the server offers neither AUTH PLAIN nor AUTH LOGIN")
	}
	if err := client.Auth(auth); err != nil {
		return mailError("login", err)
	}
	return nil
}

// login is AUTH PLAIN (RFC 4616) or AUTH LOGIN. The configuration permits a login inside TLS only.
type login struct{ mechanism, user, password string }

func (l *login) Start(*smtp.ServerInfo) (string, []byte, error) {
	if l.mechanism == "PLAIN" {
		return l.mechanism, []byte("\x00" + l.user + "\x00" + l.password), nil
	}
	return l.mechanism, nil, nil
}

func (l *login) Next(question []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	switch strings.ToLower(strings.TrimRight(string(question), ": ")) {
	case "username", "user name":
		return []byte(l.user), nil
	case "password":
		return []byte(l.password), nil
	}
	return nil, permanent("the server asks for neither user nor password")
}

// deliver sends one mail. A recipient that the server refuses does not keep the mail from the others.
func (m *mailer) deliver(client *smtp.Client, msg grouping.Message) error {
	from, err := mail.ParseAddress(m.c.From)
	if err != nil {
		return permanent("from: %v", err)
	}
	if err := client.Mail(from.Address); err != nil {
		return mailError("MAIL FROM", err)
	}
	var refused error
	accepted := 0
	for _, to := range m.c.To {
		a, err := mail.ParseAddress(to)
		if err != nil {
			return permanent("to: %v", err)
		}
		if err := client.Rcpt(a.Address); err != nil {
			var reply *textproto.Error
			if !errors.As(err, &reply) {
				return mailError("RCPT TO", err)
			}
			refused = mailError("recipient "+a.Address, err)
			continue
		}
		accepted++
	}
	if accepted == 0 {
		return refused
	}
	w, err := client.Data()
	if err != nil {
		return mailError("DATA", err)
	}
	if _, err := w.Write(mailOf(msg, m.c, m.links)); err != nil {
		return mailError("DATA", err)
	}
	if err := w.Close(); err != nil {
		return mailError("DATA", err)
	}
	_ = client.Quit() // the server has the mail
	var part *Error
	if errors.As(refused, &part) {
		part.Delivered = true
		return part
	}
	return nil
}

// mailError describes a failure of the dialogue. A reply of 500 or more would be the same again.
func mailError(what string, err error) error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	e := &Error{Text: what + ": " + err.Error() + certificateHint(err)}
	var reply *textproto.Error
	if errors.As(err, &reply) {
		e.Permanent = reply.Code >= 500
	}
	return e
}

// mailOf returns a mail: plain text, UTF-8.
func mailOf(m grouping.Message, c config.Receiver, l links) []byte {
	var b bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, oneLine(value)) }
	header("From", addressOf(c.From))
	to := make([]string, len(c.To))
	for i, t := range c.To {
		to[i] = addressOf(t)
	}
	header("To", strings.Join(to, ",\r\n "))
	header("Subject", mime.QEncoding.Encode("utf-8", subject(m)))
	header("Date", m.At.Format(time.RFC1123Z))
	header("Message-Id", messageID(c.From))
	header("Auto-Submitted", "auto-generated")
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	q := quotedprintable.NewWriter(&b)
	_, _ = io.WriteString(q, body(m, l)) // a buffer takes everything
	_ = q.Close()
	return b.Bytes()
}

// oneLine keeps a value within its header: a line break stays only where the next line continues the header.
func oneLine(s string) string {
	const fold = "\r\n "
	parts := strings.Split(s, fold)
	for i := range parts {
		parts[i] = strings.NewReplacer("\r", "", "\n", "").Replace(parts[i])
	}
	return strings.Join(parts, fold)
}

func addressOf(text string) string {
	a, err := mail.ParseAddress(text)
	if err != nil {
		return ""
	}
	return a.String()
}

func messageID(from string) string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	_, domain, _ := strings.Cut(addressOf(from), "@")
	return "<" + hex.EncodeToString(id) + "@" + strings.TrimSuffix(domain, ">") + ">"
}

// body returns the text of a mail.
func body(m grouping.Message, l links) string {
	var b strings.Builder
	write := func(status, title string) {
		n := 0
		for i, a := range m.Alerts {
			if a.Status != status || i >= maxListed {
				continue
			}
			if n++; n == 1 {
				b.WriteString(title + "\n\n")
			}
			describe(&b, a, l)
		}
	}
	write(event.AlertFiring, "Firing:")
	write(event.AlertResolved, "Resolved:")
	if more := len(m.Alerts) - maxListed; more > 0 {
		fmt.Fprintf(&b, "... and %d more\n\n", more)
	}
	if link := l.alerts(); link != "" {
		b.WriteString("All alerts: " + link + "\n")
	}
	return b.String()
}

func describe(b *strings.Builder, a event.Alert, l links) {
	fmt.Fprintf(b, "%s\n", summaryOf(a))
	if d := clean(a.Annotations.Description, 4*maxValue); d != "" {
		fmt.Fprintf(b, "  %s\n", d)
	}
	fmt.Fprintf(b, "  alert:    %s (%s), %s\n", clean(a.RuleID, maxValue), a.Severity, period(a))
	if labels := clean(labelText(a), maxValue); labels != "" {
		fmt.Fprintf(b, "  labels:   %s\n", labels)
	}
	if link := l.runbookOf(a); link != "" {
		fmt.Fprintf(b, "  runbook:  %s\n", link)
	}
	if link := l.alert(a); link != "" {
		fmt.Fprintf(b, "  console:  %s\n", link)
	}
	b.WriteString("\n")
}

// boundedConn ends a connection that sends too much: the library reads lines of any length.
type boundedConn struct {
	net.Conn
	left int
}

func (c *boundedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, &Error{Text: "the server sends more than 256 KiB"}
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
