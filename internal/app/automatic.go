package app

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"

	"github.com/smartlb/smartlb/internal/control/acme"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/dataplane/certs"
	"github.com/smartlb/smartlb/internal/dataplane/proxy"
	"github.com/smartlb/smartlb/internal/event"
)

// automatic obtains the certificates of listeners with tls.acme. A nil value obtains none.
type automatic struct {
	manager    *acme.Manager
	challenges *certs.Challenges
}

var _ proxy.Challenges = (*certs.Challenges)(nil)

// acmeFolder is below the data folder of the node.
const acmeFolder = "acme"

// newAutomatic returns nil if the node stores no data.
func newAutomatic(a *App) *automatic {
	if a.o.DataDir == "" {
		return nil
	}
	m := &automatic{challenges: new(certs.Challenges)}
	m.manager = acme.New(acme.Config{
		Dir: filepath.Join(a.o.DataDir, acmeFolder), Node: a.node, Challenges: m.challenges, Log: a.o.Log, Publish: publisher(a),
	})
	return m
}

// publisher returns what publishes challenges, nil without signing keys. Then no node answers challenges of the log: any
// writer of config-updates could make nodes prove a name to an authority.
func publisher(a *App) func(context.Context, event.Challenge) error {
	if !a.o.Kafka || !a.kafka.Signing.On() {
		return nil
	}
	return func(ctx context.Context, c event.Challenge) error {
		return configlog.PublishChallenge(ctx, a.kafka, c, a.node, a.o.Log)
	}
}

// await adds the certificates that a listener obtains to what its set serves.
func (m *automatic) await(l config.Listener, to *certs.Config) error {
	wants := wantsOf(l)
	switch {
	case len(wants) == 0:
		return nil
	case m == nil:
		return errors.New("the node has no folder for certificates: start it with --data FOLDER")
	}
	to.Challenges = m.challenges
	for _, w := range wants {
		to.Awaited = append(to.Awaited, m.manager.File(w))
	}
	return wants[0].Authority.Check() // all have the same
}

// obtain makes the certificates of all listeners those to obtain.
func (m *automatic) obtain(listeners []config.Listener) {
	if m == nil {
		return
	}
	var wants []acme.Want
	for _, l := range listeners {
		wants = append(wants, wantsOf(l)...)
	}
	m.manager.Set(wants)
}

// wantsOf converts the settings of a checked listener.
func wantsOf(l config.Listener) (out []acme.Want) {
	if l.TLS == nil || l.TLS.ACME == nil {
		return nil
	}
	c := l.TLS.ACME
	a := acme.Authority{Directory: cmp.Or(c.Directory, acme.LetsEncrypt), Email: c.Email, CA: c.CA}
	if c.ExternalAccount != nil {
		a.ExternalID, a.ExternalKey = c.ExternalAccount.ID, c.ExternalAccount.Key
	}
	for _, name := range c.Names {
		out = append(out, acme.Want{Authority: a, Name: name, KeyType: cmp.Or(c.KeyType, acme.P256), Challenge: c.Challenge})
	}
	return out
}

// shared returns what takes the challenges of the log; nil: nothing does.
func (m *automatic) shared() func([]configlog.Challenge) {
	if m == nil {
		return nil
	}
	return m.manager.Shared
}

// problems returns the certificates whose latest order failed, by file.
func (m *automatic) problems() map[string]acme.Problem {
	if m == nil {
		return nil
	}
	return m.manager.Problems()
}
