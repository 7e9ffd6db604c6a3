package compress

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

var all = []Coding{Zstd, Brotli, Gzip}

func negotiate(fields ...string) Coding {
	var w Weights
	for _, f := range fields {
		w.Read([]byte(f))
	}
	return w.Negotiate(all)
}

func TestNegotiate(t *testing.T) {
	for _, row := range []struct {
		field string
		want  Coding
	}{
		{"gzip", Gzip}, {"GZIP", Gzip}, {"x-gzip", Gzip}, {"br", Brotli}, {"zstd", Zstd}, {"", Identity}, {"deflate", Identity}, {"identity", Identity},
		{"gzip, deflate, br, zstd", Zstd}, // the order of the server counts
		{"gzip, deflate, br", Brotli},
		{"gzip;q=1.0, br;q=0.5", Gzip}, {"gzip;q=0.5,br;q=0.501", Brotli}, {"gzip ; q=0.9 , br\t;\tq=0.95", Brotli}, {"gzip;Q=0.1", Gzip},
		{"gzip;q=0", Identity}, {"gzip;q=0.000", Identity}, {"*", Zstd}, {"*;q=0", Identity}, {"zstd;q=0, *", Brotli}, {"gzip, *;q=0", Gzip},
		{"identity, gzip;q=0.5", Identity}, {"identity;q=0.5, gzip", Gzip}, {"identity;q=1, gzip;q=1", Gzip}, {"identity;q=0, gzip;q=0", Identity},
		{"gzip;q=2", Identity}, {"gzip;q=1.001", Identity}, {"gzip;q=0.1234", Identity}, {"gzip;q=-1", Identity}, {"gzip;q=", Identity}, {"gzip;q", Identity},
		{"gzip;q=.5", Identity}, {"gzip;q=1,5", Gzip}, {"gzip;level=9", Identity}, {"gzip;q=0.5;x=1", Identity}, {"gzip;q=1.", Gzip}, {"gzip;q=0.", Identity},
		{"gzip;q=0, gzip", Identity}, {",,gzip,,", Gzip}, {";q=1", Identity}, {"gzipped", Identity}, {"gz ip", Identity},
	} {
		if got := negotiate(row.field); got != row.want {
			t.Errorf("%q gives %s, want %s", row.field, got, row.want)
		}
	}
	if got := negotiate("br;q=0", "gzip"); got != Gzip {
		t.Errorf("two fields give %s", got)
	}
	if got := (&Weights{}).Negotiate(all); got != Identity {
		t.Errorf("no field gives %s", got)
	}
}

// The result is offered, has a weight, and none has a greater weight.
func TestNegotiateTakesTheGreatestWeight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := map[string]int{}
		var members []string
		for _, name := range rapid.Permutation([]string{"gzip", "br", "zstd", "identity", "*", "deflate"}).Draw(t, "names") {
			if rapid.Bool().Draw(t, name) {
				weights[name] = rapid.IntRange(0, 1000).Draw(t, "weight")
				text := strconv.FormatFloat(float64(weights[name])/1000, 'f', 3, 64)
				members = append(members, name+";q="+text)
			}
		}
		offered := all[:rapid.IntRange(0, 3).Draw(t, "offered")]
		weight := func(name string) int {
			if w, ok := weights[name]; ok || name == "identity" {
				return w
			}
			return weights["*"]
		}
		var w Weights
		w.Read([]byte(strings.Join(members, ", ")))
		got := w.Negotiate(offered)
		found := got == Identity
		for _, c := range offered {
			found = found || c == got
			if weight(c.String()) > weight(got.String()) {
				t.Fatalf("%q: got %s, but %s has more", members, got, c)
			}
		}
		if !found || got != Identity && (weight(got.String()) == 0 || weight(got.String()) < weight("identity")) {
			t.Fatalf("%q: got %s of %v", members, got, offered)
		}
	})
}

func FuzzNegotiate(f *testing.F) {
	f.Add("gzip;q=0.5, br, *;q=0")
	f.Fuzz(func(t *testing.T, field string) {
		var w Weights
		w.Read([]byte(field))
		for c := range NumCodings {
			if n := w.weight(Coding(c)); n < 0 || n > 1000 {
				t.Fatalf("%q: weight %d", field, n)
			}
		}
		if c := w.Negotiate(all); c != Identity && !strings.Contains(field, "*") && !strings.Contains(strings.ToLower(field), c.String()) {
			t.Fatalf("%q gives %s", field, c)
		}
	})
}

func TestPolicySuits(t *testing.T) {
	p := &Policy{Codings: all, Types: Types{"text/html", "application/json", "image/*"}, MinSize: 100}
	for _, row := range []struct {
		name   string
		status int
		length int64
		body   bool
		fields string
		want   bool
	}{
		{"a page", 200, 100, true, "content-type: text/html", true},
		{"parameters and case", 200, 100, true, "Content-Type: Text/HTML ; charset=utf-8", true},
		{"a pattern", 404, 100, true, "content-type: image/svg+xml", true},
		{"a pattern needs a name", 200, 100, true, "content-type: image/", false},
		{"unknown length", 200, -1, true, "content-type: text/html", true},
		{"too small", 200, 99, true, "content-type: text/html", false},
		{"no body", 200, 1000, false, "content-type: text/html", false},
		{"another type", 200, 1000, true, "content-type: video/mp4", false},
		{"no type", 200, 1000, true, "x: y", false},
		{"two types", 200, 1000, true, "content-type: text/html|content-type: text/html", false},
		{"a prefix of a type", 200, 1000, true, "content-type: text/htmlx", false},
		{"compressed before", 200, 1000, true, "content-type: text/html|content-encoding: gzip", false},
		{"an unknown coding", 200, 1000, true, "content-type: text/html|content-encoding: ", false},
		{"identity", 200, 1000, true, "content-type: text/html|content-encoding: identity", true},
		{"identity and another", 200, 1000, true, "content-type: text/html|content-encoding: br|content-encoding: identity", false},
		{"a range", 206, 1000, true, "content-type: text/html", false},
		{"a field of a range", 200, 1000, true, "content-type: text/html|content-range: bytes 0-1/2", false},
		{"a digest", 200, 1000, true, "content-type: text/html|Repr-Digest: sha-256=:x:", false},
		{"no-transform", 200, 1000, true, "content-type: text/html|cache-control: max-age=1, No-Transform", false},
		{"another directive", 200, 1000, true, "content-type: text/html|cache-control: no-transformx", true},
	} {
		r := Response{Status: row.status, Length: row.length, Body: row.body}
		for _, f := range strings.Split(row.fields, "|") {
			name, value, _ := strings.Cut(f, ": ")
			r.Read([]byte(name), []byte(value))
		}
		if got := p.Suits(&r); got != row.want {
			t.Errorf("%s: got %v", row.name, got)
		}
	}
	for value, want := range map[string]bool{"Accept-Encoding": true, "Origin, accept-encoding": true, "*": true, "Origin": false, "": false, "X-Accept-Encoding": false} {
		var r Response
		r.Read([]byte("Vary"), []byte(value))
		if r.Varies() != want {
			t.Errorf("Vary: %s gives %v", value, !want)
		}
	}
	for tag, want := range map[string]string{`"a"`: `W/"a"`, `W/"a"`: `W/"a"`} {
		if got := string(AppendWeak(nil, []byte(tag))); got != want {
			t.Errorf("%s becomes %s", tag, got)
		}
	}
}

func reader(t testing.TB, c Coding, from io.Reader) io.Reader {
	switch c {
	case Gzip:
		r, err := gzip.NewReader(from)
		if err != nil {
			t.Fatal(err)
		}
		return r
	case Brotli:
		return brotli.NewReader(from)
	default:
		r, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20)) // RFC 9659
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

// Every piece can be read as soon as Encode returns, and the whole is the body, also with an encoder that was left in the
// middle of another body.
func TestEachPieceCanBeReadAtOnce(t *testing.T) {
	pool := NewPool()
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range all {
		broken := pool.Get(c)
		broken.Encode([]byte("a body that never ends"), false)
		pool.Put(broken)
		e := pool.Get(c)
		if e != broken {
			t.Errorf("%s: the encoder was not used again", c)
		}
		from, to := io.Pipe()
		got := make(chan []byte)
		go func() {
			r := reader(t, c, from)
			for {
				buf := make([]byte, 64<<10)
				n, err := r.Read(buf)
				if n > 0 {
					got <- buf[:n]
				}
				if err != nil {
					if err != io.EOF {
						t.Error(err)
					}
					close(got)
					return
				}
			}
		}()
		for i := range 20 {
			piece := []byte(fmt.Sprintf("piece %d of the body;", i))
			if i%3 == 0 {
				piece = make([]byte, random.IntN(64<<10)) // not compressible
				for j := range piece {
					piece[j] = byte(random.Uint32())
				}
			}
			out := e.Encode(piece, i == 19)
			if len(out) > len(piece)+1024 {
				t.Errorf("%s: %d bytes became %d", c, len(piece), len(out))
			}
			go func(out []byte) {
				_, _ = to.Write(out)
				if i == 19 {
					_ = to.Close() // a reader of gzip looks for more after the end
				}
			}(bytes.Clone(out))
			for left := piece; len(left) > 0; {
				read, ok := <-got
				if !ok || !bytes.HasPrefix(left, read) {
					t.Fatalf("%s: piece %d is other bytes", c, i)
				}
				left = left[len(read):]
			}
		}
		if _, ok := <-got; ok {
			t.Errorf("%s: surplus bytes", c)
		}
		pool.Put(e)
	}
}

func TestAnEmptyBodyHasAnEnd(t *testing.T) {
	pool := NewPool()
	for _, c := range all {
		e := pool.Get(c)
		out := e.Encode(nil, true)
		if got, err := io.ReadAll(reader(t, c, bytes.NewReader(out))); err != nil || len(got) > 0 {
			t.Errorf("%s: %q, %v", c, got, err)
		}
		pool.Put(e)
	}
}

func TestThePoolIsBounded(t *testing.T) {
	pool := NewPool()
	pool.most = 3
	var taken []*Encoder
	for range 3 {
		taken = append(taken, pool.Get(Gzip))
	}
	if pool.Get(Brotli) != nil {
		t.Error("got a fourth encoder")
	}
	pool.Put(taken[0])
	if pool.Get(Zstd) == nil {
		t.Error("got none after one came back")
	}
}

func TestDecisionsAllocateNothing(t *testing.T) {
	p := &Policy{Codings: all, Types: Types{"text/html", "application/json"}}
	field, name, value := []byte("gzip;q=0.8, br, *;q=0.1"), []byte("Content-Type"), []byte("application/json")
	if n := testing.AllocsPerRun(100, func() {
		var w Weights
		w.Read(field)
		r := Response{Status: 200, Length: -1, Body: true}
		r.Read(name, value)
		if w.Negotiate(p.Codings) != Brotli || !p.Suits(&r) {
			t.Fatal("wrong")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
