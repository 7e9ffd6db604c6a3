package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
)

// File is the name of the file that holds a folder's format version.
const File = "format"

// Kind is what a folder holds. Each has its own versions.
type Kind struct {
	Name    string // how people call it, such as "the node's data"
	Version int    // what this program writes, from 1
}

// ErrNewer means that the folder was written by a newer smartlb.
var ErrNewer = errors.New("written by a newer smartlb")

// Open checks the folder's version and raises it to k's. A folder without a
// version is older than versions are, or new: it counts as version 1. It
// returns the version found, for those who have something to convert. When it
// returns an error the folder is untouched.
func Open(dir string, k Kind) (found int, err error) {
	path := filepath.Join(dir, File)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 1, write(path, k)
	case err != nil:
		return 0, fmt.Errorf("format of %s: %w", k.Name, err)
	}
	text := strings.TrimSpace(string(b))
	found, err = strconv.Atoi(text)
	switch {
	case err != nil || found < 1:
		return 0, fmt.Errorf("format of %s: %s holds %.40q, not a version; restore the file, or move %s away", k.Name, path, text, dir)
	case found > k.Version:
		return found, fmt.Errorf("%s in %s has format %d and this smartlb knows formats up to %d: %w; run that one, or choose another folder",
			k.Name, dir, found, k.Version, ErrNewer)
	case found < k.Version:
		return found, write(path, k)
	}
	return found, nil
}

func write(path string, k Kind) error {
	if err := renameio.WriteFile(path, []byte(strconv.Itoa(k.Version)+"\n"), 0o600); err != nil {
		return fmt.Errorf("format of %s: %w", k.Name, err)
	}
	return nil
}
