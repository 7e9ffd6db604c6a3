package app

import (
	"fmt"
	"slices"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/dataplane/proxy"
)

// Listen replaces the address of a listener in the configuration on this node (--listen). It applies to each revision
// that the node applies.
type Listen struct {
	Name    string // of the listener; empty: the only listener, named web if the configuration has none
	Address string
}

// Listeners applies a node's own addresses to the listeners of a configuration. It returns in unknown the names that
// the configuration does not have.
func Listeners(of []config.Listener, own []Listen) (out []config.Listener, unknown []string, err error) {
	out = slices.Clone(of)
	for _, l := range own {
		at := slices.IndexFunc(out, func(c config.Listener) bool { return c.Name == l.Name })
		switch {
		case at >= 0:
			out[at].Address = l.Address
		case l.Name != "":
			unknown = append(unknown, l.Name)
		case len(out) == 0:
			out = []config.Listener{{Name: "web", Address: l.Address}}
		case len(out) == 1:
			out[0].Address = l.Address
		default:
			return nil, nil, fmt.Errorf("--listen %s: the configuration has %d listeners; use --listen NAME=%s", l.Address, len(out), l.Address)
		}
	}
	return out, unknown, nil
}

// open opens the listeners of a configuration and closes all others. If the configuration has no listeners, the open
// listeners stay open.
func (d *dataPlane) open(of []config.Listener) error {
	if len(of) == 0 {
		return nil
	}
	listeners, unknown, err := Listeners(of, d.own)
	if err != nil {
		return err
	}
	if len(unknown) > 0 {
		d.log("--listen names listeners that the configuration does not have", "listeners", unknown)
	}
	want := make([]proxy.Listener, len(listeners))
	sets, err := d.certs.load(listeners)
	if err != nil {
		return err
	}
	reserved := config.ReservedHeaders(listeners)
	for i, l := range listeners {
		want[i] = listenerOf(l)
		want[i].Reserved = reserved
		if set := sets[l.Name]; set != nil {
			want[i].TLS = set.TLS()
		}
	}
	if err := d.proxy.SetListeners(want); err != nil {
		return err
	}
	d.certs.serve(sets)
	d.certs.acme.obtain(listeners)
	return nil
}

// openFirst opens listeners at the start, if the last good configuration and the file opened none: the file's
// listeners, if a revision has none, or the address of --listen. A node that follows config-updates may start without a
// listener.
func (d *dataPlane) openFirst(o Options) error {
	if len(d.proxy.Listeners()) > 0 {
		return nil
	}
	first, _, err := Listeners(o.Document.Listeners, d.own)
	if err != nil {
		return err
	}
	if len(first) > 0 {
		return d.open(first)
	}
	if !o.Kafka || o.FileOnly {
		return fmt.Errorf("there is no listener: add `listeners` to the configuration, or use --listen ADDRESS")
	}
	o.Log.Info("no listener is open yet: waiting for a revision on config-updates")
	return nil
}
