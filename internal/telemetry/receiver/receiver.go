package receiver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/screen"
	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/telemetry/grouping"
)

// Receiver sends messages to one system. Its methods are safe for concurrent use.
type Receiver struct {
	c     config.Receiver
	links links
	send  func(ctx context.Context, m grouping.Message, secrets *secrets) error
	close func() // closes idle connections
}

// Error is the failure of an attempt.
type Error struct {
	Text       string        // without secrets and control characters
	Permanent  bool          // the same message would fail again
	Delivered  bool          // the message was accepted in part, so it must not be sent again
	RetryAfter time.Duration // what the receiver demands; 0: nothing
}

func (e *Error) Error() string { return e.Text }

// permanent is a failure that a retry does not change.
func permanent(format string, args ...any) error {
	return &Error{Text: fmt.Sprintf(format, args...), Permanent: true}
}

// New returns a receiver of a checked configuration. It reads the TLS files, and neither dials nor reads secrets.
func New(c config.Receiver, a config.Alerting) (*Receiver, error) {
	r := &Receiver{c: c, links: links{console: a.ConsoleURL, runbook: a.RunbookURL}}
	encryption, err := tlsConfig(c.TLS)
	if err != nil {
		return nil, fmt.Errorf("receiver %s: %w", c.Name, err)
	}
	web := newWeb(c, encryption)
	r.close = web.client.CloseIdleConnections
	switch c.Type {
	case config.ReceiverAlertmanager:
		r.send = (&alertmanager{web: web, links: r.links}).send
	case config.ReceiverWebhook:
		r.send = (&webhook{web: web, links: r.links, name: c.Name}).send
	case config.ReceiverSlack:
		r.send = (&slack{web: web, links: r.links}).send
	case config.ReceiverSMTP:
		r.send = (&mailer{c: c, tls: encryption, links: r.links}).send
	default:
		return nil, fmt.Errorf("receiver %s: unknown type %q", c.Name, c.Type)
	}
	return r, nil
}

// Name returns the name of the receiver.
func (r *Receiver) Name() string { return r.c.Name }

// Target describes where messages go, without secrets.
func (r *Receiver) Target() string {
	switch {
	case r.c.Type == config.ReceiverSMTP:
		return r.c.Address
	case r.c.URLSecret != "":
		return r.c.URLSecret.String()
	}
	u, err := config.WebAddress(r.c.URL)
	if err != nil {
		return ""
	}
	u.RawQuery = "" // may hold a token
	return u.String()
}

// Close closes idle connections.
func (r *Receiver) Close() { r.close() }

// Send delivers a message within the timeout of the receiver. An error is an *Error.
func (r *Receiver) Send(ctx context.Context, m grouping.Message) error {
	ctx, cancel := context.WithTimeout(ctx, r.c.Timeout)
	defer cancel()
	s := &secrets{}
	err := r.send(ctx, m, s)
	if err == nil {
		return nil
	}
	var known *Error
	if !errors.As(err, &known) {
		known = &Error{Text: err.Error()}
	}
	out := *known
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && !out.Delivered {
		out = Error{Text: fmt.Sprintf("no answer within %s", r.c.Timeout)}
	}
	out.Text = clean(s.hide(out.Text), maxText)
	return &out
}

// maxText limits the text of an error.
const maxText = 300

// clean makes a text of a stranger fit for a terminal and a log: one line, no control characters, at most so many bytes.
func clean(s string, most int) string {
	s = screen.Escape(strings.Join(strings.Fields(strings.ToValidUTF8(s[:min(len(s), 4*most)], "?")), " "))
	return cut(s, most)
}

// cut shortens a text to at most so many bytes.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-3], "") + "..."
}

// secrets are the secrets of one attempt. They are read for each attempt, so that they can be rotated.
type secrets struct{ values []string }

func (s *secrets) resolve(what string, ref secret.Ref) (string, error) {
	if ref == "" {
		return "", nil
	}
	v, err := ref.Resolve(os.Getenv, os.ReadFile)
	if err != nil {
		return "", permanent("%s: %v", what, err)
	}
	s.note(v)
	return v, nil
}

// note stores a secret that no error may contain.
func (s *secrets) note(v string) {
	if len(v) >= 4 { // a shorter one would make errors unreadable
		s.values = append(s.values, v)
	}
}

// noteURL stores the parts of a secret address.
func (s *secrets) noteURL(u *url.URL) {
	s.note(u.Path)
	s.note(u.RawQuery)
	for _, part := range strings.Split(u.Path, "/") {
		s.note(part)
	}
	for _, values := range u.Query() {
		for _, v := range values {
			s.note(v)
		}
	}
}

// hide removes the secrets from a text: a receiver may repeat what it got.
func (s *secrets) hide(text string) string {
	slices.SortFunc(s.values, func(a, b string) int { return len(b) - len(a) })
	for _, v := range s.values {
		text = strings.ReplaceAll(text, v, "(secret)")
	}
	return text
}
