package state

import "path/filepath"

// UserFolder returns the folder that the XDG base directory specification gives a user's files of one kind: the value of
// variable, or below, a path below the home folder. A relative value is ignored, as the specification says. It returns ""
// if the environment names neither.
func UserFolder(getenv func(string) string, variable, below string) string {
	if base := getenv(variable); filepath.IsAbs(base) {
		return base
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, below)
	}
	return ""
}
