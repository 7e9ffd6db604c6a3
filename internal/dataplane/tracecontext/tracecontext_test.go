package tracecontext

import (
	"regexp"
	"strings"
	"testing"
)

const (
	trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	span  = "00f067aa0ba902b7"
)

func TestParseTakesWhatTheStandardAllowsOnly(t *testing.T) {
	for _, row := range []struct {
		value       string
		ok, sampled bool
	}{
		{"00-" + trace + "-" + span + "-01", true, true},
		{"00-" + trace + "-" + span + "-00", true, false},
		{"00-" + trace + "-" + span + "-ff", true, true},   // unknown flags are ignored
		{"00-" + trace + "-" + span + "-02", true, false},  // the random flag of level 2
		{"01-" + trace + "-" + span + "-01", true, true},   // a later version
		{"cc-" + trace + "-" + span + "-01-x", true, true}, // with more fields
		{"cc-" + trace + "-" + span + "-01.x", false, false},
		{"cc-" + trace + "-" + span + "-01x", false, false},
		{"00-" + trace + "-" + span + "-01-", false, false},
		{"00-" + trace + "-" + span + "-01-x", false, false},
		{"ff-" + trace + "-" + span + "-01", false, false},
		{"0x-" + trace + "-" + span + "-01", false, false},
		{"00-" + strings.ToUpper(trace) + "-" + span + "-01", false, false},
		{"00-" + trace + "-" + span + "-0A", false, false},
		{"00-" + strings.Repeat("0", 32) + "-" + span + "-01", false, false},
		{"00-" + trace + "-" + strings.Repeat("0", 16) + "-01", false, false},
		{"00-" + trace + "-" + span + "-1", false, false},
		{"00_" + trace + "-" + span + "-01", false, false},
		{"00-" + trace + "_" + span + "-01", false, false},
		{"00-" + trace + "-" + span + "_01", false, false},
		{"00-" + trace[:31] + ".-" + span + "-01", false, false},
		{" 00-" + trace + "-" + span + "-01", false, false},
		{"", false, false},
	} {
		c, ok := Parse([]byte(row.value))
		if ok != row.ok || c.Sampled != row.sampled {
			t.Errorf("%q gives %v, sampled %v", row.value, ok, c.Sampled)
		}
	}
}

func TestValidState(t *testing.T) {
	many := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, "k"+strings.Repeat("a", i)+"=v")
		}
		return strings.Join(all, ",")
	}
	for value, want := range map[string]bool{
		"congo=t61rcWkgMzE": true, "rojo=00f067,congo=t6": true, "a=1 , b=2,\t,": true, "a=x y": true, "0a@sys=1": true, "a_-*/=1": true,
		many(32): true, strings.Repeat("k", 256) + "=" + strings.Repeat("v", 256): true, strings.Repeat("t", 241) + "@" + strings.Repeat("s", 14) + "=1": true,
		"": false, ",": false, "a": false, "a=": false, "=1": false, "a=1=2": false, "a=1,a=2": false, "A=1": false, "0a=1": false, "a@=1": false,
		"@a=1": false, "a@0=1": false, "a@b@c=1": false, "a =1": false, "a=\x01": false, "a=\xff": false, "_a=1": false, many(33): false,
		strings.Repeat("k", 257) + "=1": false, "k=" + strings.Repeat("v", 257): false, strings.Repeat("t", 242) + "@s=1": false, "t@" + strings.Repeat("s", 15) + "=1": false,
	} {
		if got := ValidState([]byte(value)); got != want {
			t.Errorf("%q gives %v", value, got)
		}
	}
}

func TestParsingAllocatesNothing(t *testing.T) {
	value, state, out := []byte("00-"+trace+"-"+span+"-01"), []byte("rojo=00f067,congo=t6"), make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		c, _ := Parse(value)
		out = c.Append(out[:0])
		ValidState(state)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The regular expression is that of the standard's grammar.
var grammar = regexp.MustCompile(`^(00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}|[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-(?s:.*))?)$`)

func FuzzParse(f *testing.F) {
	f.Add([]byte("00-" + trace + "-" + span + "-01"))
	f.Add([]byte("cc-" + trace + "-" + span + "-01-x"))
	f.Add([]byte("00-" + trace + "-" + span + "-01-x"))
	f.Fuzz(func(t *testing.T, v []byte) {
		c, ok := Parse(v)
		s := string(v)
		want := grammar.MatchString(s) && !strings.HasPrefix(s, "ff") && (s[:2] != "00" || len(s) == 55) &&
			s[3:35] != strings.Repeat("0", 32) && s[36:52] != strings.Repeat("0", 16)
		if ok != want {
			t.Fatalf("%q gives %v, the grammar %v", v, ok, want)
		}
		if !ok {
			return
		}
		out := c.Append(nil)
		if again, ok := Parse(out); !ok || again != c || string(out[2:53]) != s[2:53] {
			t.Fatalf("%q is written as %q", v, out)
		}
	})
}

// simple and multi are the two forms of a member in the standard's grammar.
var member = regexp.MustCompile(`^([a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})=[ -+\--<>-~]{0,255}[!-+\--<>-~]$`)

func FuzzState(f *testing.F) {
	f.Add([]byte("rojo=00f067, congo@b=t6,"))
	f.Fuzz(func(t *testing.T, v []byte) {
		keys, want := map[string]bool{}, true
		for m := range strings.SplitSeq(string(v), ",") {
			if m = strings.Trim(m, " \t"); m == "" {
				continue
			}
			key, _, _ := strings.Cut(m, "=")
			want = want && member.MatchString(m) && !keys[key]
			keys[key] = true
		}
		want = want && len(keys) > 0 && len(keys) <= maxMembers
		if got := ValidState(v); got != want {
			t.Fatalf("%q gives %v, the grammar %v", v, got, want)
		}
	})
}
