package corpus

import "testing"

func TestCasesHaveNamesOfTheirOwn(t *testing.T) {
	one, err := HTTP1()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	check := func(name string, complete bool) {
		if seen[name] || !complete {
			t.Errorf("%s: twice, or without bytes or outcome", name)
		}
		seen[name] = true
	}
	for _, c := range one {
		check(c.Name, c.Bytes != "" && len(c.Want) > 0)
	}
	for _, c := range HTTP2() {
		check(c.Name, len(c.Fields) > 0 && len(c.Fields)%2 == 0 && c.Want != "")
	}
	if len(seen) < 600 {
		t.Errorf("%d cases", len(seen))
	}
}
