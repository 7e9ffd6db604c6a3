package acme

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/dataplane/certs"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// bench is a running manager in a bubble, whose orders the test decides.
type bench struct {
	*Manager
	t    *testing.T
	ca   *certtest.Authority
	stop func()

	deciding sync.Mutex // protects what follows
	orders   []string   // name and challenge of each
	life     time.Duration
	fails    error
	during   func(ctx context.Context, p presenter) error // in an order; nil: nothing
	publish  []event.Challenge
}

// decide changes how orders end from now on.
func (b *bench) decide(change func()) {
	b.deciding.Lock()
	defer b.deciding.Unlock()
	change()
}

func newBench(t *testing.T, dir string, fleet bool) *bench {
	t.Helper()
	b := &bench{t: t, ca: certtest.Until(t, "ca", time.Now().AddDate(10, 0, 0)), life: 100 * time.Hour}
	cfg := Config{Dir: dir, Node: "n1", Challenges: new(certs.Challenges)}
	if fleet {
		cfg.Publish = func(_ context.Context, c event.Challenge) error {
			b.decide(func() { b.publish = append(b.publish, c) })
			return nil
		}
	}
	b.Manager = New(cfg)
	b.Manager.order = b.obtainFor
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	b.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	go func() { done <- b.Run(ctx) }()
	return b
}

func (b *bench) obtainFor(ctx context.Context, w Want, challenge string, p presenter) (issued, error) {
	b.deciding.Lock()
	b.orders = append(b.orders, w.Name+" "+challenge)
	during, fails, life := b.during, b.fails, b.life
	b.deciding.Unlock()
	if during != nil {
		if err := during(ctx, p); err != nil {
			return issued{}, err
		}
	}
	if fails != nil {
		return issued{}, fails
	}
	cert := b.ca.Issue(certtest.Options{NotBefore: time.Now(), NotAfter: time.Now().Add(life)}, w.Name)
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	return issued{leaf, cert.Certificate, cert.PrivateKey.(crypto.Signer)}, err
}

// after waits and returns the orders since the last call.
func (b *bench) after(d time.Duration) string {
	time.Sleep(d)
	synctest.Wait()
	b.deciding.Lock()
	defer b.deciding.Unlock()
	out := strings.Join(b.orders, ", ")
	b.orders = nil
	return out
}

func (b *bench) expect(when string, d time.Duration, want string) {
	b.t.Helper()
	if got := b.after(d); got != want {
		b.t.Errorf("%s: orders %q, want %q", when, got, want)
	}
}

func want(name string) Want {
	return Want{Authority: Authority{Directory: "https://ca.example/dir"}, Name: name, KeyType: P256}
}

func TestCertificatesAreObtainedStoredAndRenewed(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dir, false)
		b.expect("without wants", time.Minute, "")
		b.Set([]Want{want("a.example")})
		b.expect("the first", time.Minute, "a.example tls-alpn-01")
		first, err := b.File(want("a.example")).Read()
		if err != nil {
			t.Fatal(err)
		}
		b.Set([]Want{want("a.example"), want("b.example")}) // a revision adds a name
		b.expect("another name", time.Minute, "b.example tls-alpn-01")
		b.expect("until their renewal", 59*time.Hour, "")
		if got := b.after(8 * time.Hour); strings.Count(got, "a.example") != 1 || strings.Count(got, "b.example") != 1 {
			t.Errorf("the renewal: %s", got)
		}
		if second, err := b.File(want("a.example")).Read(); err != nil || second.Leaf.Equal(first.Leaf) {
			t.Errorf("the stored certificate is not the new one: %v", err)
		}
		b.Set([]Want{want("b.example")}) // a revision removes a name
		b.stop()

		again := newBench(t, dir, false)
		again.Set([]Want{want("a.example"), want("b.example")})
		again.expect("after a restart", 50*time.Hour, "")
		again.stop()
	})
}

func TestOrdersThatFailAreRepeatedLessAndLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, t.TempDir(), false)
		b.decide(func() { b.fails = errors.New("acme: the authority is\nclosed today") })
		b.Set([]Want{want("a.example")})
		var counts []int
		for range 6 {
			counts = append(counts, strings.Count(b.after(time.Hour), "a.example"))
		}
		if counts[0] < 4 || counts[0] > 5 || counts[1] > 1 || counts[5] > 1 {
			t.Errorf("orders in each hour: %v", counts)
		}
		p := b.Problems()[b.File(want("a.example")).File]
		if p.Err == nil || p.Err.Error() != "the authority is closed today" || !p.Retry.After(time.Now()) {
			t.Errorf("problem: %+v", p)
		}
		b.Set([]Want{want("a.example")}) // a revision that changes nothing here is no reason to hurry
		b.expect("after a revision", time.Minute, "")
		b.decide(func() { b.fails = nil })
		if got := b.after(13 * time.Hour); strings.Count(got, "a.example") != 1 {
			t.Errorf("after the authority is open again: %s", got)
		}
		if len(b.Problems()) != 0 {
			t.Errorf("the problem stays: %+v", b.Problems())
		}
		b.stop()
	})
}

// An authority that does not answer delays other names for one order, and no longer.
func TestAnOrderThatHangsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, t.TempDir(), false)
		b.Manager.order = func(ctx context.Context, w Want, challenge string, p presenter) (issued, error) {
			if w.Name == "bad.example" {
				<-ctx.Done() // the authority does not answer
				return issued{}, ctx.Err()
			}
			return b.obtainFor(ctx, w, challenge, p)
		}
		b.Set([]Want{want("bad.example"), want("a.example"), want("b.example")})
		got := strings.Split(b.after(orderTimeout+10*time.Second), ", ")
		slices.Sort(got)
		if strings.Join(got, ", ") != "a.example tls-alpn-01, b.example tls-alpn-01" {
			t.Errorf("orders: %q", got)
		}
		b.stop()
	})
}

// A certificate for seconds does not make a node order without pause.
func TestShortLivedCertificatesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, t.TempDir(), false)
		b.decide(func() { b.life = time.Second })
		b.Set([]Want{want("a.example")})
		if n := strings.Count(b.after(10*time.Minute), "a.example"); n < 2 || n > int(10*time.Minute/minPace)+1 {
			t.Errorf("%d orders in 10 minutes", n)
		}
		b.stop()
	})
}

func TestADamagedFileIsReplaced(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dir, false)
		b.Set([]Want{want("a.example")})
		b.expect("the first", time.Minute, "a.example tls-alpn-01")
		b.stop()
		file := b.File(want("a.example"))
		if err := os.WriteFile(file.File, []byte("-----BEGIN"), 0o600); err != nil {
			t.Fatal(err)
		}
		again := newBench(t, dir, false)
		again.Set([]Want{want("a.example")})
		again.expect("after a restart", time.Minute, "a.example tls-alpn-01")
		if _, err := file.Read(); err != nil {
			t.Error(err)
		}
		again.stop()
	})
}

// A certificate that cannot be stored is not ordered: each order counts against the limits of the authority.
func TestNothingIsOrderedThatCannotBeStored(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "acme")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file in the place of the folder
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dir, false)
		b.Set([]Want{want("a.example")})
		b.expect("without a folder", time.Hour, "")
		if p := b.Problems()[b.File(want("a.example")).File]; p.Err == nil || !strings.Contains(p.Err.Error(), dir+": not a directory") {
			t.Errorf("problem: %+v", p)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		if got := b.after(12 * time.Hour); strings.Count(got, "a.example") != 1 {
			t.Errorf("with a folder: %q", got)
		}
		b.stop()
	})
}

// Nodes that share the folder order once.
func TestASharedFolderNeedsOneOrder(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		one := newBench(t, dir, false)
		one.Set([]Want{want("a.example")})
		one.expect("the first node", time.Minute, "a.example tls-alpn-01")
		two := newBench(t, dir, false)
		two.Set([]Want{want("a.example")})
		time.Sleep(70 * time.Hour)
		synctest.Wait()
		if n := len(one.orders) + len(two.orders); n != 1 {
			t.Errorf("%d renewals by two nodes: %v %v", n, one.orders, two.orders)
		}
		one.stop()
		two.stop()
	})
}

func TestTheStopEndsAnOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, t.TempDir(), false)
		b.during = func(ctx context.Context, p presenter) error {
			c := certs.Challenge{Name: "a.example", Type: certs.HTTP01, Token: "t", KeyAuthorization: "t.p"}
			if err := p.present(ctx, c); err != nil {
				return err
			}
			<-ctx.Done()
			p.withdraw(ctx, c)
			return ctx.Err()
		}
		b.Set([]Want{want("a.example")})
		b.expect("the order runs", time.Minute, "a.example tls-alpn-01")
		path := []byte("/.well-known/acme-challenge/t")
		if got := b.cfg.Challenges.Answer([]byte("a.example"), path); got != "t.p" {
			t.Errorf("during the order: %q", got)
		}
		b.stop()
		if got := b.cfg.Challenges.Answer([]byte("a.example"), path); got != "" || len(b.Problems()) != 0 {
			t.Errorf("after the stop: %q, %v", got, b.Problems())
		}
	})
}

func of(node, name, token string, ends time.Time) configlog.Challenge {
	return configlog.Challenge{Node: node, Challenge: event.Challenge{Name: name, Type: certs.HTTP01, Token: token, KeyAuthorization: token + ".p", EndsAt: ends}}
}

// Any node of a fleet answers the challenge of another, for names that it serves itself.
func TestChallengesOfOtherNodesAreAnsweredForOurNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, t.TempDir(), true)
		b.decide(func() { b.fails = errors.New("no") })
		answer := func(name, token string) string {
			return b.cfg.Challenges.Answer([]byte(name), []byte("/.well-known/acme-challenge/"+token))
		}
		b.Shared([]configlog.Challenge{of("n2", "a.example", "ours", time.Now().Add(time.Minute)), of("n2", "evil.example", "evil", time.Now().Add(time.Minute))})
		if got := answer("a.example", "ours"); got != "" {
			t.Errorf("a name that no listener wants: %q", got)
		}
		b.Set([]Want{want("a.example")})
		if got := answer("a.example", "ours"); got != "ours.p" {
			t.Errorf("our name: %q", got)
		}
		if got := answer("evil.example", "evil"); got != "" {
			t.Errorf("another name: %q", got)
		}
		b.expect("while another node orders", 58*time.Second, "")
		if got := answer("a.example", "ours"); got != "ours.p" {
			t.Errorf("before the end: %q", got)
		}
		if got := b.after(time.Minute); !strings.HasPrefix(got, "a.example") {
			t.Errorf("after the other node: %q", got)
		}
		if got := answer("a.example", "ours"); got != "" {
			t.Errorf("after the end: %q", got)
		}
		b.Set(nil)
		b.stop()
	})
}

// handshakeAnswer returns the key authorization that a handshake of an authority proves, one of the given; empty: none.
func handshakeAnswer(t *testing.T, c *certs.Challenges, name string, among ...string) string {
	t.Helper()
	set, err := certs.Load(certs.Config{Awaited: []certs.Awaited{{Name: name, File: filepath.Join(t.TempDir(), "none")}}, Challenges: c})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := set.TLS().GetConfigForClient(&tls.ClientHelloInfo{ServerName: name, SupportedProtos: []string{certs.ChallengeProtocol}})
	if cfg == nil || err != nil {
		return ""
	}
	cert, err := cfg.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range among {
		sum := sha256.Sum256([]byte(a))
		if slices.ContainsFunc(leaf.Extensions, func(e pkix.Extension) bool { return bytes.HasSuffix(e.Value, sum[:]) }) {
			return a
		}
	}
	return "another"
}

// A handshake does not say which challenge it is about, so all nodes answer the first one in the log: also a node that
// has just published its own.
func TestHandshakesAnswerTheFirstChallengeOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Config{Dir: t.TempDir(), Node: "n1", Challenges: new(certs.Challenges)})
		m.Set([]Want{want("a.example")})
		alpn := func(node, token string) configlog.Challenge {
			c := of(node, "a.example", token, time.Now().Add(time.Minute))
			c.Type = certs.TLSALPN01
			return c
		}
		own := certs.Challenge{Name: "a.example", Type: certs.TLSALPN01, Token: "own", KeyAuthorization: "own.p"}
		for name, tc := range map[string]struct {
			own    []certs.Challenge
			shared []configlog.Challenge
			want   string
		}{
			"none":                       {nil, nil, ""},
			"own, not in the log yet":    {[]certs.Challenge{own}, nil, "own.p"},
			"own alone":                  {[]certs.Challenge{own}, []configlog.Challenge{alpn("n1", "own")}, "own.p"},
			"own before another":         {[]certs.Challenge{own}, []configlog.Challenge{alpn("n1", "own"), alpn("n2", "other")}, "own.p"},
			"another before own":         {[]certs.Challenge{own}, []configlog.Challenge{alpn("n2", "other"), alpn("n1", "own")}, "other.p"},
			"another, own not there yet": {[]certs.Challenge{own}, []configlog.Challenge{alpn("n2", "other")}, "other.p"},
			"of an earlier process":      {nil, []configlog.Challenge{alpn("n1", "stale"), alpn("n2", "other")}, "other.p"},
			"own, after such a one":      {[]certs.Challenge{own}, []configlog.Challenge{alpn("n1", "stale")}, "own.p"},
		} {
			m.mu.Lock()
			m.own = tc.own
			m.mu.Unlock()
			m.Shared(tc.shared)
			if got := handshakeAnswer(t, m.cfg.Challenges, "a.example", "own.p", "other.p", "stale.p"); got != tc.want {
				t.Errorf("%s: %q, want %q", name, got, tc.want)
			}
		}
	})
}

// The authority asks after the challenge came back over the log, and the log decides which of two nodes orders.
func TestAChallengeIsPublishedBeforeTheAuthorityAsks(t *testing.T) {
	for name, tc := range map[string]struct {
		back  func(b *bench) // what the log does with the published record
		err   error          // of present
		waits time.Duration  // at least, before the authority asks
	}{
		"it comes back": {func(b *bench) {
			b.Shared([]configlog.Challenge{of("n1", "a.example", "t", time.Now().Add(time.Minute))})
		}, nil, settle},
		"another node was first": {func(b *bench) {
			b.Shared([]configlog.Challenge{of("n2", "a.example", "u", time.Now().Add(time.Minute)), of("n1", "a.example", "t", time.Now().Add(time.Minute))})
		}, errOtherNode, 0},
		"it does not come back": {func(*bench) {}, nil, returnWait},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, t.TempDir(), true)
				var got error
				var waited time.Duration
				b.during = func(ctx context.Context, p presenter) error {
					c := certs.Challenge{Name: "a.example", Type: certs.HTTP01, Token: "t", KeyAuthorization: "t.p"}
					began := time.Now()
					go func() { time.Sleep(100 * time.Millisecond); tc.back(b) }()
					got = p.present(ctx, c)
					waited = time.Since(began)
					p.withdraw(ctx, c)
					return got
				}
				b.Set([]Want{want("a.example")})
				b.after(firstOrder + returnWait + settle + time.Second)
				if got != tc.err || waited < tc.waits {
					t.Errorf("present: %v after %v", got, waited)
				}
				if len(b.publish) < 2 || b.publish[0].Token != "t" || b.publish[0].KeyAuthorization != "t.p" || !b.publish[0].EndsAt.After(b.publish[1].EndsAt) || len(b.Problems()) != 0 {
					t.Errorf("published %+v, problems %v", b.publish, b.Problems())
				}
				b.stop()
			})
		})
	}
}

// Kafka that is down does not prevent a renewal.
func TestANodeOrdersWithoutKafka(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, t.TempDir(), true)
		b.cfg.Publish = func(ctx context.Context, _ event.Challenge) error { <-ctx.Done(); return ctx.Err() }
		b.during = func(ctx context.Context, p presenter) error {
			c := certs.Challenge{Name: "a.example", Type: certs.HTTP01, Token: "t", KeyAuthorization: "t.p"}
			defer p.withdraw(ctx, c)
			return p.present(ctx, c)
		}
		b.Set([]Want{want("a.example")})
		b.expect("without Kafka", time.Minute, "a.example tls-alpn-01")
		if _, err := b.File(want("a.example")).Read(); err != nil {
			t.Error(err)
		}
		b.stop()
	})
}
