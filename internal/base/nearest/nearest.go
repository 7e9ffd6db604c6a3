// Package nearest finds the name that a user probably meant when the typed name does not exist. Any package may use it.
package nearest

// longest is the length limit of a compared name. The work grows with its square.
const longest = 249

// Name returns the name in names with the smallest distance to typed. It returns "" if no name is near: more than a
// third of the letters are wrong. The distance counts insertions, deletions and replacements (Levenshtein).
func Name(typed string, names []string) string {
	if len(typed) > longest {
		return ""
	}
	best, least := "", max(len(typed)/3, 2)+1
	for _, name := range names {
		if d := distance(typed, name); name != typed && d < least && d < len(name) {
			best, least = name, d
		}
	}
	return best
}

func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
