package affinity

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// valueOf returns the value of the cookie that binds a client to an instance.
func valueOf(t testing.TB, s *Sessions, instance string) string {
	t.Helper()
	c, err := http.ParseSetCookie(string(s.AppendCookie(nil, instance, false)))
	if err != nil {
		t.Fatal(err)
	}
	return c.Value
}

func TestACodeNamesItsInstanceOnAllNodes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9:.-]{1,8}`), 1, 20, rapid.ID[string]).Draw(rt, "ids")
		secrets := rapid.SliceOfNDistinct(rapid.StringN(1, 40, -1), 1, MaxKeys, rapid.ID[string]).Draw(rt, "secrets")
		one := NewKeys(secrets...).For("s", Settings{Cookie: "C"}, ids)
		// Another node knows the same keys in another order, and lists the instances in another order.
		swapped := append(append([]string{}, secrets[1:]...), secrets[0])
		moved := append(append([]string{}, ids[1:]...), ids[0])
		two := NewKeys(swapped...).For("s", Settings{Cookie: "C"}, moved)
		seen := map[string]bool{}
		for _, id := range ids {
			v := valueOf(t, one, id)
			if seen[v] || strings.Contains(v, id) && len(id) > 3 {
				rt.Fatalf("the code of %s is %s", id, v)
			}
			seen[v] = true
			seat, ok := two.Find([]byte(v))
			if !ok || seat.Instance != id || moved[seat.At] != id {
				rt.Fatalf("%s names %+v", id, seat)
			}
		}
	})
}

func TestForeignCodesNameNothing(t *testing.T) {
	k := NewKeys("a key of the fleet that is long enough")
	s := k.For("s", Settings{Cookie: "C"}, []string{"i1", "i2"})
	v := valueOf(t, s, "i1")
	for why, value := range map[string]string{
		"nothing": "", "the id": "i1", "cut": v[:len(v)-1], "longer": v + "A", "in quotes": `"` + v + `"`, "another case": strings.ToUpper(v),
		"another service":       valueOf(t, k.For("t", Settings{Cookie: "C"}, []string{"i1"}), "i1"),
		"another key":           valueOf(t, NewKeys("another key of the fleet, also long").For("s", Settings{Cookie: "C"}, []string{"i1"}), "i1"),
		"another process":       valueOf(t, NewKeys().For("s", Settings{Cookie: "C"}, []string{"i1"}), "i1"),
		"an instance that left": valueOf(t, k.For("s", Settings{Cookie: "C"}, []string{"i3"}), "i3"),
	} {
		if seat, ok := s.Find([]byte(value)); ok {
			t.Errorf("%s: %q names %+v", why, value, seat)
		}
	}
	if got := s.AppendCookie(nil, "i3", true); len(got) > 0 {
		t.Errorf("a cookie for an instance that is not in the configuration: %s", got)
	}
	if !NewKeys().Generated() || k.Generated() {
		t.Error("which keys are random")
	}
}

func TestTheCookieHasItsAttributes(t *testing.T) {
	for _, row := range []struct {
		s      Settings
		secure bool
		want   string
	}{
		{Settings{Cookie: "C"}, false, "; Path=/; HttpOnly; SameSite=Lax"},
		{Settings{Cookie: "C"}, true, "; Path=/; HttpOnly; SameSite=Lax; Secure"},
		{Settings{Cookie: "C", Path: "/shop", MaxAge: 90 * time.Second, SameSite: "Strict"}, false, "; Path=/shop; Max-Age=90; HttpOnly; SameSite=Strict"},
		{Settings{Cookie: "C", SameSite: "None"}, false, "; Path=/; HttpOnly; SameSite=None; Secure"},
		{Settings{Cookie: "__Host-C"}, false, "; Path=/; HttpOnly; SameSite=Lax; Secure"},
		{Settings{Cookie: "__Secure-C"}, false, "; Path=/; HttpOnly; SameSite=Lax; Secure"},
	} {
		s := NewKeys().For("s", row.s, []string{"i"})
		got := string(s.AppendCookie([]byte("x"), "i", row.secure))
		rest, ok := strings.CutPrefix(got, "x"+row.s.Cookie+"=")
		if !ok || len(rest) < 22 || rest[22:] != row.want {
			t.Errorf("%+v: %s", row.s, got)
		}
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	ids := make([]string, 5000)
	for i := range ids {
		ids[i] = fmt.Sprint("instance-", i)
	}
	s := NewKeys().For("s", Settings{Cookie: "C"}, ids)
	v, dst := []byte(valueOf(t, s, "instance-4999")), make([]byte, 0, 200)
	if n := testing.AllocsPerRun(100, func() {
		if _, ok := s.Find(v); !ok {
			t.Fatal("not found")
		}
		s.AppendCookie(dst, "instance-1", true)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
