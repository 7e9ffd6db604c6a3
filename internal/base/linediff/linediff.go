// Package linediff compares two texts line by line, by the greedy algorithm of Myers ("An O(ND) Difference Algorithm
// and Its Variations", 1986). Time and memory grow with the size of the difference, not with the length of the texts.
package linediff

import "strings"

// Line is one line of one text or of both texts.
type Line struct {
	Op   string `json:"op"`             // "=", "-" only in the first, "+" only in the second
	From int    `json:"from,omitempty"` // number in the first text, from 1
	To   int    `json:"to,omitempty"`   // number in the second
	Text string `json:"text"`
}

// Operations of a Line.
const (
	Same    = "="
	Removed = "-"
	Added   = "+"
)

// maxEdits is the number of different lines above which the rest counts as replaced. Memory grows with its square.
const maxEdits = 1000

// Compare returns the lines of both texts. Where the texts differ, lines of the first come before lines of the second.
// A final end of line does not count as a line.
func Compare(first, second string) []Line {
	a, b := lines(first), lines(second)
	out := make([]Line, 0, max(len(a), len(b)))
	start := 0
	for start < len(a) && start < len(b) && a[start] == b[start] {
		out = append(out, Line{Same, start + 1, start + 1, a[start]})
		start++
	}
	endA, endB := len(a), len(b)
	for endA > start && endB > start && a[endA-1] == b[endB-1] {
		endA, endB = endA-1, endB-1
	}
	out = append(out, middle(a[start:endA], b[start:endB], start)...)
	for ; endA < len(a); endA, endB = endA+1, endB+1 {
		out = append(out, Line{Same, endA + 1, endB + 1, a[endA]})
	}
	return out
}

func lines(s string) []string {
	if s = strings.TrimSuffix(s, "\n"); s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// middle compares the texts between their equal beginnings and ends. before is the number of equal lines at the
// beginning.
func middle(a, b []string, before int) []Line {
	var out []Line
	i, j := 0, 0
	for _, s := range steps(a, b) {
		switch {
		case s == 0:
			out = append(out, Line{Same, before + i + 1, before + j + 1, a[i]})
			i, j = i+1, j+1
		case s < 0:
			out = append(out, Line{Op: Removed, From: before + i + 1, Text: a[i]})
			i++
		default:
			out = append(out, Line{Op: Added, To: before + j + 1, Text: b[j]})
			j++
		}
	}
	return out
}

// steps returns the steps from a to b: 0 keeps a line, -1 removes a line, 1 adds a line.
func steps(a, b []string) []int8 {
	n, m := len(a), len(b)
	furthest := map[int]int{1: 0} // by diagonal: the position reached in a
	var trace []map[int]int
	for d := 0; d <= n+m; d++ {
		if d > maxEdits {
			return replaced(n, m)
		}
		at := make(map[int]int, d+2)
		for k := -d; k <= d; k += 2 {
			x := furthest[k-1] + 1
			if k == -d || (k != d && furthest[k-1] < furthest[k+1]) {
				x = furthest[k+1]
			}
			y := x - k
			for x < n && y < m && a[x] == b[y] {
				x, y = x+1, y+1
			}
			at[k] = x
			if x >= n && y >= m {
				return back(append(trace, at), n, m)
			}
		}
		trace = append(trace, at)
		furthest = at
		furthest[d+1], furthest[-d-1] = -1, -1 // beyond the reached diagonals
	}
	return nil // both texts are empty
}

// back follows the trace from the end to the beginning.
func back(trace []map[int]int, x, y int) []int8 {
	var out []int8
	for d := len(trace) - 1; d > 0; d-- {
		was, k := trace[d-1], x-y
		from := k - 1
		if k == -d || (k != d && was[k-1] < was[k+1]) {
			from = k + 1
		}
		fromX := was[from]
		fromY := fromX - from
		for x > fromX && y > fromY {
			out = append(out, 0)
			x, y = x-1, y-1
		}
		if from == k+1 {
			out = append(out, 1)
		} else {
			out = append(out, -1)
		}
		x, y = fromX, fromY
	}
	for ; x > 0 && y > 0; x, y = x-1, y-1 {
		out = append(out, 0)
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

func replaced(n, m int) []int8 {
	out := make([]int8, 0, n+m)
	for range n {
		out = append(out, -1)
	}
	for range m {
		out = append(out, 1)
	}
	return out
}

// Unified returns the different lines with context equal lines around them. Each line begins with its sign or a blank;
// " ..." stands for omitted lines.
func Unified(all []Line, context int) []string {
	var out []string
	last := -1
	for i := range all {
		near := false
		for k := max(0, i-context); k <= min(len(all)-1, i+context); k++ {
			near = near || all[k].Op != Same
		}
		if !near {
			continue
		}
		if last >= 0 && i != last+1 {
			out = append(out, " ...")
		}
		sign := all[i].Op
		if sign == Same {
			sign = " "
		}
		out, last = append(out, sign+all[i].Text), i
	}
	return out
}
