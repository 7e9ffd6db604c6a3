package discovery

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/smartlb/smartlb/internal/control/config"
)

// A pipe that takes the place of the file between two looks must not block its reader.
func TestAPipeInThePlaceOfAFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "s.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (fileSource{folder: dir, name: "s.json", most: 10}).read(); err == nil || !strings.Contains(err.Error(), "is no file") {
		t.Error(err)
	}
}

func TestTheTextOfAnErrorHasNoControlCharacters(t *testing.T) {
	got := short("malformed line: \x1b[2J\n" + strings.Repeat("ä", maxReason))
	if !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\n") || len(got) > maxReason+10 || !strings.HasPrefix(got, "malformed line:  [2J ä") {
		t.Errorf("%q", got)
	}
}

// SRV records that all lead to a name with many addresses must not fill the memory.
func TestSRVRecordsWithTooManyAddressesAreRefused(t *testing.T) {
	r := newResolver(t)
	var records []string
	for i := range 10 {
		records = append(records, fmt.Sprintf("_x._tcp.app.test. 60 IN SRV 1 1 %d a.test.", 80+i), fmt.Sprintf("a.test. 60 IN A 10.0.0.%d", i+1))
	}
	r.zone(t, records...)
	l := look{ctx: t.Context(), servers: []string{r.addr}, ttl: time.Hour}
	if got, err := l.services("_x._tcp.app.test.", 20); err == nil || !strings.Contains(err.Error(), "more addresses than maxInstances, which is 20") {
		t.Errorf("%d instances, %v", len(got), err)
	}
}

func TestTagsFromConsulAreBounded(t *testing.T) {
	for name, entry := range map[string]string{
		"a control character": `{"Node": {"Node": "n"}, "Service": {"ID": "i", "Address": "10.0.0.1", "Port": 1, "Meta": {"a": "\u001b[2J"}}}`,
		"a long datacenter":   `{"Node": {"Node": "n", "Datacenter": "` + strings.Repeat("d", 300) + `"}, "Service": {"ID": "i", "Address": "10.0.0.1", "Port": 1}}`,
	} {
		if _, err := parseConsul([]byte("["+entry+"]"), 10); err == nil || !strings.Contains(err.Error(), "without control characters") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSavedAnswersAreNeitherInTheFutureNorEmpty(t *testing.T) {
	a := savedAnswer{At: begin.Add(time.Hour), Instances: []savedInstance{{ID: "a", Address: "10.0.0.1:1", Weight: 1}}}
	var l listing
	if err := a.restore(&l, Bounds{Most: 10}, begin); err != nil || !l.at.Equal(begin) || len(l.targets) != 1 {
		t.Errorf("after the clock was set back: %+v, %v", l, err)
	}
	l, a.Instances = listing{}, nil
	if err := a.restore(&l, Bounds{Most: 10}, begin); err != nil || !l.at.IsZero() || l.saved {
		t.Errorf("an empty list: %+v, %v", l, err)
	}
}

// A source that lists other instances with each answer must not fill the memory with those that are held.
func TestHeldInstancesAreBounded(t *testing.T) {
	m := newMembership(.01, "file f")
	m.most = 20
	for i := range 50 {
		m.take(numbered(20*i, 20*i+20), begin.Add(time.Duration(i)*time.Second), works)
	}
	if len(m.members) > 40 {
		t.Errorf("%d members, want at most 40", len(m.members))
	}
}

// The instances of one query are not those of another query of the same address, neither now nor after a restart.
func TestAnotherQueryIsAnotherSource(t *testing.T) {
	s := func(query string) config.Service {
		return service(config.Discovery{HTTP: &config.HTTPDiscovery{URL: "http://127.0.0.1:1/list?" + query, Interval: time.Hour, Timeout: time.Second}})
	}
	cfg := Config{Dir: t.TempDir(), Now: time.Now, Standings: allWork, Log: slog.New(slog.DiscardHandler)}
	m := New(cfg)
	m.Set([]config.Service{s("service=a")})
	e := m.services["s"]
	m.answered(e, e.listings[0], numbered(0, 3), nil)
	m.saveAll(true)
	if got := New(cfg).Set([]config.Service{s("service=a")})[0].Instances; len(got) != 3 {
		t.Errorf("after a restart: %v", got)
	}
	if got := New(cfg).Set([]config.Service{s("service=b")})[0].Instances; len(got) != 0 {
		t.Errorf("after a restart, another query has %v", got)
	}
	m.Set([]config.Service{s("service=b")})
	if l := m.services["s"].listings[0]; len(l.targets) != 0 || !l.at.IsZero() {
		t.Errorf("another query has the answer of the former: %+v", l)
	}
}

// Some resolvers read such names as addresses of this machine.
func TestShortFormsOfAddressesAreRefused(t *testing.T) {
	for _, host := range []string{"127.1", "2130706433", "0x7f000001", "127.0.0.1.", "10.0.0.256"} {
		in := config.Instance{ID: "a", Address: host + ":80", Weight: 1}
		if err := Check([]config.Instance{in}, Bounds{Most: 1}); err == nil {
			t.Errorf("%s is accepted", host)
		}
	}
	in := config.Instance{ID: "a", Address: "pod-1.10.example.com.:80", Weight: 1}
	if err := Check([]config.Instance{in}, Bounds{Most: 1}); err != nil {
		t.Error(err)
	}
}
