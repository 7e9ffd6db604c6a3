package discovery

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/smartlb/smartlb/internal/control/config"
)

// store keeps the last good answers of all services in files, one for each service. A node that starts while a source is
// down uses them.
type store struct {
	dir string // "": nothing is kept
	log *slog.Logger
}

// storeFormat is increased when an older program could not read the files.
const storeFormat = 1

// saved is the file of a service.
type saved struct {
	Format  int           `json:"format"`
	Sources []savedAnswer `json:"sources"`
	// instances that no source lists any more and that stay, and when others left within the last minute: a restart must not
	// end what maxLoss holds
	Held   []savedInstance `json:"held,omitempty"`
	Losses []time.Time     `json:"losses,omitempty"`
}

type savedAnswer struct {
	Source    string          `json:"source"`
	Key       string          `json:"key"` // as listing.key
	At        time.Time       `json:"at"`
	Instances []savedInstance `json:"instances"`
}

type savedInstance struct {
	ID       string            `json:"id"`
	Address  string            `json:"address"`
	Weight   float64           `json:"weight"`
	Backup   bool              `json:"backup,omitempty"`
	Draining bool              `json:"draining,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
	Source   string            `json:"source,omitempty"` // of a held instance

	Incarnation string `json:"incarnation,omitempty"`
}

func save(in config.Instance) savedInstance {
	return savedInstance{ID: in.ID, Address: in.Address, Weight: in.Weight, Backup: in.Backup, Draining: in.Draining, Tags: in.Tags, Incarnation: in.Incarnation}
}

func (in savedInstance) instance(source string) config.Instance {
	return config.Instance{ID: in.ID, Address: in.Address, Weight: in.Weight, Backup: in.Backup, Draining: in.Draining, Tags: in.Tags, Source: source, Incarnation: in.Incarnation}
}

// path returns the file of a service. Ids begin with a letter or digit and have no slash.
func (s store) path(service string) string { return filepath.Join(s.dir, service+".json") }

// load returns what was saved for a service. A file that cannot be used is moved aside, and the sources are awaited.
func (s store) load(service string) (saved, bool) {
	if s.dir == "" {
		return saved{}, false
	}
	src, err := os.ReadFile(s.path(service))
	if errors.Is(err, fs.ErrNotExist) {
		return saved{}, false
	}
	var out saved
	if err == nil {
		err = json.Unmarshal(src, &out)
	}
	if err == nil && out.Format > storeFormat {
		err = errors.New("a newer smartlb wrote it")
	}
	if err != nil {
		s.log.Warn("the last known instances of a service cannot be read; its sources are awaited", "service", service, "file", s.path(service), "error", err)
		_ = os.Rename(s.path(service), s.path(service)+".damaged")
		return saved{}, false
	}
	return out, true
}

// save replaces the file of a service.
func (s store) save(service string, listings []listing, held []member, losses []time.Time) error {
	if s.dir == "" {
		return nil
	}
	out := saved{Format: storeFormat, Losses: losses}
	for _, m := range held {
		in := save(m.Instance)
		in.Source = m.Source
		out.Held = append(out.Held, in)
	}
	for _, l := range listings {
		a := savedAnswer{Source: l.source, Key: l.key, At: l.at, Instances: make([]savedInstance, len(l.targets))}
		for i, in := range l.targets {
			a.Instances[i] = save(in)
		}
		out.Sources = append(out.Sources, a)
	}
	src, err := json.Marshal(out)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	return renameio.WriteFile(s.path(service), src, 0o600)
}

// forget removes the file of a service that has no sources any more.
func (s store) forget(service string) {
	if s.dir != "" {
		_ = os.Remove(s.path(service)) // at worst an unused file stays
	}
}

// restore gives a listing the answer that was saved of its source. A list without instances is of no use: the source is
// awaited.
func (a savedAnswer) restore(l *listing, b Bounds, now time.Time) error {
	if len(a.Instances) == 0 {
		return nil
	}
	targets := make([]config.Instance, len(a.Instances))
	for i, in := range a.Instances {
		targets[i] = in.instance(l.source)
	}
	if err := Check(targets, b); err != nil {
		return err
	}
	l.targets, l.at, l.saved = targets, a.At, true
	if a.At.After(now) { // the clock was set back
		l.at = now
	}
	return nil
}

// restoreHeld gives the membership of a service that was not known before what maxLoss held when it was saved. Held instances
// of sources that are not configured any more, or that are not permitted, are forgotten.
func (k saved) restoreHeld(m *membership, b Bounds, now time.Time) {
	for _, l := range m.listings {
		for _, in := range l.targets {
			m.members = append(m.members, member{Instance: in})
		}
	}
	taken := map[string]bool{}
	for _, in := range m.members {
		taken[in.ID] = true
	}
	for _, h := range k.Held {
		in := h.instance(h.Source)
		if len(m.members) < 2*m.most && !taken[in.ID] && m.configured(in.Source) && Check([]config.Instance{in}, b) == nil {
			taken[in.ID] = true
			m.members = append(m.members, member{Instance: in, held: true})
		}
	}
	for _, at := range k.Losses {
		if len(m.losses) < m.most && at.Before(now) && now.Sub(at) < lossWindow {
			m.losses = append(m.losses, at)
		}
	}
}
