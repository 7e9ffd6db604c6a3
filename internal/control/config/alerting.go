package config

import (
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/event"
)

// Alerting says where alerts are sent.
type Alerting struct {
	Receivers []Receiver `yaml:"receivers"` // systems that receive the alerts, at most 16; default none
	// labels of an alert. Alerts with equal values of these labels share a message. `alertname` is the rule, `severity` its
	// severity. An empty list: all alerts share messages; default alertname, service
	GroupBy        []string      `yaml:"groupBy"`
	GroupWait      time.Duration `yaml:"groupWait"`      // time from a change of an alert to the message about it, so that alerts of the same moment share a message, 0s to 1h; default 30s
	GroupInterval  time.Duration `yaml:"groupInterval"`  // shortest time between two messages about a group, 1s to 24h; default 300s
	RepeatInterval time.Duration `yaml:"repeatInterval"` // time after which a message about alerts that still fire is repeated, 1m to 720h, at least `groupInterval`; default 4h
	ConsoleURL     string        `yaml:"consoleUrl"`     // address of the console, for the links in messages; default none, messages have no link
	RunbookURL     string        `yaml:"runbookUrl"`     // page with a section for each alert. Messages link to it with `#` and the rule; default https://github.com/smartlb/smartlb/blob/main/docs/alerts.md
}

// Types of a receiver.
const (
	ReceiverAlertmanager = "alertmanager"
	ReceiverWebhook      = "webhook"
	ReceiverSlack        = "slack"
	ReceiverSMTP         = "smtp"
)

// Receiver is a system that receives alerts.
type Receiver struct {
	Name string `yaml:"name"` // name of the receiver in commands, logs and metrics, unique; required
	Type string `yaml:"type"` // one of `alertmanager`, `webhook`, `slack`, `smtp`: what the receiver speaks, see docs/alerts.md; required
	// address of the receiver, http:// or https://. For `alertmanager` without the path /api/v2/alerts. Not with `smtp`. One of
	// `url` and `urlSecret` is required; default none
	URL          string        `yaml:"url"`
	URLSecret    secret.Ref    `yaml:"urlSecret"`    // reference to the address, if the address is a secret. `slack` needs it; default none
	User         string        `yaml:"user"`         // user name for the login at the receiver, with `password`; default no login
	Password     secret.Ref    `yaml:"password"`     // password of `user`. It is sent inside TLS, or to this machine, only; default none
	BearerToken  secret.Ref    `yaml:"bearerToken"`  // token of the Authorization header, instead of `user`. Not with `smtp`; default none
	TLS          ReceiverTLS   `yaml:"tls"`          // encryption of connections to the receiver
	Timeout      time.Duration `yaml:"timeout"`      // longest time of one attempt, 1s to 60s; default 10s
	MinSeverity  string        `yaml:"minSeverity"`  // lowest severity that is sent, one of `info`, `warning`, `critical`; default info
	SendResolved bool          `yaml:"sendResolved"` // also send messages about alerts that ended. An alertmanager always gets them; default true
	Address      string        `yaml:"address"`      // address of the mail server, host and port. `smtp` needs it; default none
	Encryption   string        `yaml:"encryption"`   // one of `starttls`, `tls`, `none`: encryption of connections to the mail server. With `starttls` a server that does not offer it gets no mail; default starttls
	From         string        `yaml:"from"`         // sender of mails. `smtp` needs it; default none
	To           []string      `yaml:"to"`           // recipients of mails, at most 50. `smtp` needs it; default none
}

// ReceiverTLS is the encryption of connections to a receiver. The files are read when the node starts.
type ReceiverTLS struct {
	CA         string `yaml:"ca"`         // PEM file with the certificates of the authorities of the receiver; default the authorities of the system
	Cert       string `yaml:"cert"`       // PEM file with the certificate of the node for the receiver, then its chain. It needs `key`; default none
	Key        string `yaml:"key"`        // PEM file with the private key of `cert`; default none
	ServerName string `yaml:"serverName"` // name that the certificate of the receiver must have; default the host of its address
	Insecure   bool   `yaml:"insecure"`   // accept every certificate. An attacker in the network can then read passwords and alerts. It excludes `ca`; default false
}

// DefaultAlerting returns the settings without receivers.
func DefaultAlerting() Alerting {
	return Alerting{
		GroupBy: []string{"alertname", "service"}, GroupWait: 30 * time.Second, GroupInterval: 5 * time.Minute, RepeatInterval: 4 * time.Hour,
		RunbookURL: "https://github.com/smartlb/smartlb/blob/main/docs/alerts.md",
	}
}

func (a *Alerting) fill(given func(string) bool) {
	for i := range a.Receivers {
		r, path := &a.Receivers[i], fmt.Sprintf("alerting.receivers[%d]", i)
		orDefault(&r.Timeout, 10*time.Second, given(path+".timeout"))
		orDefault(&r.SendResolved, true, given(path+".sendResolved"))
		if r.MinSeverity == "" {
			r.MinSeverity = event.SeverityInfo
		}
		if r.Encryption == "" {
			r.Encryption = "starttls"
		}
	}
}

// Limits of receivers.
const (
	maxReceivers  = 16
	maxRecipients = 50
	maxURL        = 2048
	maxGroupBy    = 16
)

// labelPattern accepts the names of labels as Prometheus does.
var labelPattern = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,127}$`)

func (c *checker) alerting(a Alerting) {
	c.span("alerting.groupWait", a.GroupWait, 0, time.Hour, "0s", "1h")
	c.span("alerting.groupInterval", a.GroupInterval, time.Second, 24*time.Hour, "1s", "24h")
	c.span("alerting.repeatInterval", a.RepeatInterval, time.Minute, 720*time.Hour, "1m", "720h")
	if a.RepeatInterval < a.GroupInterval {
		c.fail("alerting.repeatInterval", "%s is shorter than groupInterval %s", a.RepeatInterval, a.GroupInterval)
	}
	for i, l := range bounded(c, "alerting.groupBy", "labels", a.GroupBy, maxGroupBy) {
		path := fmt.Sprintf("alerting.groupBy[%d]", i)
		if !labelPattern.MatchString(l) {
			c.fail(path, "%q: want the name of a label such as alertname, severity, service, instance or node", l)
		} else if slices.Contains(a.GroupBy[:i], l) {
			c.fail(path, "%q is in the list twice", l)
		}
	}
	c.link("alerting.consoleUrl", a.ConsoleURL)
	c.link("alerting.runbookUrl", a.RunbookURL)
	names := map[string]string{}
	for i, r := range bounded(c, "alerting.receivers", "receivers", a.Receivers, maxReceivers) {
		path := fmt.Sprintf("alerting.receivers[%d]", i)
		c.id(path+".name", r.Name)
		c.unique(path+".name", "receiver", r.Name, names)
		c.receiver(path, r)
	}
}

func (c *checker) span(path string, d, least, most time.Duration, from, to string) {
	if d < least || d > most {
		c.fail(path, "want %s to %s, got %s", from, to, d)
	}
}

// link checks an address that stands in messages.
func (c *checker) link(path, text string) {
	if text == "" {
		return
	}
	if _, err := WebAddress(text); err != nil {
		c.fail(path, "%v", err)
	}
}

func (c *checker) receiver(path string, r Receiver) {
	types := []string{ReceiverAlertmanager, ReceiverWebhook, ReceiverSlack, ReceiverSMTP}
	switch {
	case r.Type == "":
		c.fail(path+".type", "missing: want one of %s", strings.Join(types, ", "))
	case !slices.Contains(types, r.Type):
		c.fail(path+".type", "unknown type %q, want one of %s", r.Type, strings.Join(types, ", "))
	}
	if r.MinSeverity != event.SeverityInfo && r.MinSeverity != event.SeverityWarning && r.MinSeverity != event.SeverityCritical {
		c.fail(path+".minSeverity", "unknown severity %q, want one of info, warning, critical", r.MinSeverity)
	}
	c.span(path+".timeout", r.Timeout, time.Second, time.Minute, "1s", "60s")
	for key, ref := range map[string]secret.Ref{"urlSecret": r.URLSecret, "password": r.Password, "bearerToken": r.BearerToken} {
		if err := ref.Check(); err != nil {
			c.fail(path+"."+key, "%v", err)
		}
	}
	c.oneOf(path+".encryption", r.Encryption, "starttls", "tls", "none")
	if r.Type == ReceiverAlertmanager && !r.SendResolved {
		c.fail(path+".sendResolved", "an alertmanager always gets the end of an alert; set send_resolved in its own configuration")
	}
	c.receiverTLS(path+".tls", r.TLS)
	c.receiverLogin(path, r)
	c.receiverKeys(path, r)
	if r.Type == ReceiverSMTP || r.Address != "" || r.From != "" || len(r.To) > 0 {
		c.mail(path, r)
	}
	if r.Type != ReceiverSMTP || r.URL != "" || r.URLSecret != "" {
		c.receiverURL(path, r)
	}
}

func (c *checker) receiverTLS(path string, t ReceiverTLS) {
	if (t.Cert == "") != (t.Key == "") {
		c.fail(path+".cert", "cert and key are wanted both, or neither")
	}
	if t.Insecure && t.CA != "" {
		c.fail(path+".insecure", "with a ca there is nothing to be insecure about; leave one of them out")
	}
	if t.ServerName != "" && !hostPattern.MatchString(t.ServerName) {
		c.fail(path+".serverName", "%q: want the name of a host", t.ServerName)
	}
}

func (c *checker) receiverLogin(path string, r Receiver) {
	switch {
	case (r.User == "") != (r.Password == ""):
		c.fail(path+".user", "user and password are wanted both, or neither")
	case r.User != "" && r.BearerToken != "":
		c.fail(path+".bearerToken", "user and bearerToken exclude each other")
	case len(r.User) > 256 || hasControl(r.User) || r.Type != ReceiverSMTP && strings.Contains(r.User, ":"):
		c.fail(path+".user", "want at most 256 characters, no control character and no colon")
	}
}

// receiverKeys refuses keys that have no meaning for the type of a receiver.
func (c *checker) receiverKeys(path string, r Receiver) {
	mail := []string{"address", "from", "to"}
	web := []string{"url", "urlSecret", "bearerToken"}
	set := map[string]bool{
		"address": r.Address != "", "from": r.From != "", "to": len(r.To) > 0,
		"url": r.URL != "", "urlSecret": r.URLSecret != "", "bearerToken": r.BearerToken != "",
	}
	foreign := mail
	switch r.Type {
	case ReceiverSMTP:
		foreign = web
	case ReceiverAlertmanager, ReceiverWebhook, ReceiverSlack:
		if r.Encryption != "starttls" {
			c.fail(path+".encryption", "only a receiver of type smtp has it; use an https:// address")
		}
	default:
		return
	}
	for _, key := range foreign {
		if set[key] {
			c.fail(path+"."+key, "a receiver of type %s has no %s", r.Type, key)
		}
	}
}

// receiverURL checks the address of a receiver. Its texts never contain the address, which may hold a secret.
func (c *checker) receiverURL(path string, r Receiver) {
	switch {
	case r.URL != "" && r.URLSecret != "":
		c.fail(path+".urlSecret", "url and urlSecret exclude each other")
		return
	case r.Type == ReceiverSlack && r.URL != "":
		c.fail(path+".url", "the address of a slack receiver is a secret: use urlSecret with ${env:NAME}, ${file:/absolute/path} or ${credential:NAME}")
		return
	case r.Type == ReceiverSlack && r.URLSecret == "":
		c.fail(path+".urlSecret", "missing: want a reference to the address")
		return
	case r.URL == "" && r.URLSecret == "":
		c.fail(path+".url", "missing: want an address like https://alerts.example.com/hook, or urlSecret")
		return
	case r.URL == "":
		return
	}
	u, err := WebAddress(r.URL)
	if err != nil {
		c.fail(path+".url", "%v", err)
		return
	}
	if err := r.MayLogIn(u); err != nil {
		c.fail(path+".url", "%v", err)
	}
	if u.Scheme == "http" && r.TLS != (ReceiverTLS{}) {
		c.fail(path+".tls", "has no effect with an http:// address")
	}
}

// MayLogIn returns an error if the receiver's credentials would cross the network in plain text.
func (r Receiver) MayLogIn(u *url.URL) error {
	if (r.User != "" || r.BearerToken != "") && u.Scheme != "https" && !thisMachine(u.Hostname()) {
		return fmt.Errorf("want https; user and bearerToken must not be sent in plain text")
	}
	return nil
}

func thisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// WebAddress parses the address of a receiver. The error does not contain the address, which may hold a secret.
func WebAddress(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case len(text) > maxURL:
		return nil, fmt.Errorf("longer than %d bytes", maxURL)
	case err != nil, u.Hostname() == "", u.Scheme != "http" && u.Scheme != "https", u.Opaque != "":
		return nil, fmt.Errorf("want an address like https://alerts.example.com/hook")
	case u.User != nil:
		return nil, fmt.Errorf("the address must not contain a user or a password; use the keys user and password")
	case u.Fragment != "":
		return nil, fmt.Errorf("the address must not contain #")
	}
	return u, nil
}

func (c *checker) mail(path string, r Receiver) {
	c.address(path+".address", r.Address, false)
	c.mailbox(path+".from", r.From)
	if len(r.To) == 0 {
		c.fail(path+".to", "missing: want at least one mail address")
	}
	for i, to := range bounded(c, path+".to", "recipients", r.To, maxRecipients) {
		c.mailbox(fmt.Sprintf("%s.to[%d]", path, i), to)
	}
	if r.Encryption == "none" && r.User != "" {
		c.fail(path+".encryption", "want starttls or tls; a password must not be sent in plain text")
	}
	if r.Encryption == "none" && r.TLS != (ReceiverTLS{}) {
		c.fail(path+".tls", "has no effect with encryption: none")
	}
}

// mailbox checks one mail address, with or without a name before it.
func (c *checker) mailbox(path, text string) {
	a, err := mail.ParseAddress(text)
	switch {
	case text == "":
		c.fail(path, "missing: want an address such as smartlb@example.com")
	case err != nil || len(text) > 320 || hasControl(text) || strings.ContainsFunc(a.Address, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '<' || r == '>' }):
		c.fail(path, "%q: want one address such as smartlb@example.com or smartlb <smartlb@example.com>", text)
	}
}
