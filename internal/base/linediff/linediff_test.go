package linediff

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// What is kept and removed is the first text, what is kept and added the
// second; and never more lines change than the longest common subsequence asks.
func TestALineDiffLeadsFromOneTextToTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"a", "b", "c", "d e", ""})
		a := rapid.SliceOfN(word, 0, 30).Draw(t, "a")
		b := rapid.SliceOfN(word, 0, 30).Draw(t, "b")
		a, b = append(a, "end"), append(b, "end") // a text that ends with an empty line cannot be told from one that does not
		if rapid.Bool().Draw(t, "other end") {
			b[len(b)-1] = "another end"
		}
		var first, second []string
		changes := 0
		for _, l := range Compare(strings.Join(a, "\n"), strings.Join(b, "\n")+"\n") {
			if l.Op != Added {
				first = append(first, l.Text)
				if l.From != len(first) {
					t.Fatalf("line %+v is the first text's %dth", l, len(first))
				}
			}
			if l.Op != Removed {
				second = append(second, l.Text)
				if l.To != len(second) {
					t.Fatalf("line %+v is the second text's %dth", l, len(second))
				}
			}
			if l.Op != Same {
				changes++
			}
		}
		if cmp.Diff(a, first) != "" || cmp.Diff(b, second) != "" {
			t.Fatalf("%q %q became %q %q", a, b, first, second)
		}
		if want := len(a) + len(b) - 2*common(a, b); changes != want {
			t.Fatalf("%d lines change, %d would do: %q %q", changes, want, a, b)
		}
	})
}

func common(a, b []string) int {
	table := make([][]int, len(a)+1)
	table[len(a)] = make([]int, len(b)+1)
	for i := len(a) - 1; i >= 0; i-- {
		table[i] = make([]int, len(b)+1)
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				table[i][j] = table[i+1][j+1] + 1
			} else {
				table[i][j] = max(table[i+1][j], table[i][j+1])
			}
		}
	}
	return table[0][0]
}

func TestTextsThatHaveNothingInCommonAreReplaced(t *testing.T) {
	a, b := strings.Repeat("a\n", 3*maxEdits), strings.Repeat("b\n", maxEdits)
	all := Compare("same\n"+a+"end", "same\n"+b+"end")
	if len(all) != 4*maxEdits+2 || all[0].Op != Same || all[1].Op != Removed || all[len(all)-2].Op != Added {
		t.Errorf("%d lines", len(all))
	}
	if len(Compare("", "")) != 0 {
		t.Error("nothing and nothing differ")
	}
}

func TestUnifiedShowsWhatIsNearAChange(t *testing.T) {
	got := Unified(Compare("1\n2\n3\n4\n5\n6\n7\n8\n9", "1\n2\nx\n4\n5\n6\n7\n8\n9\n10"), 1)
	want := []string{" 2", "-3", "+x", " 4", " ...", " 9", "+10"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
