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

// Kind is the kind of a folder's content. Each kind has its own versions.
type Kind struct {
	Name    string // name for people, such as "the node's data"
	Version int    // version that this program writes, from 1
}

// ErrNewer means that the folder was written by a newer smartlb.
var ErrNewer = errors.New("written by a newer smartlb")

// Open checks the folder's version and raises it to k's version. A folder without a version is either new or older than
// versions; it counts as version 1. Open returns the version found, for callers that convert data. After an error the
// folder is unchanged.
func Open(dir string, k Kind) (found int, err error) {
	found, exists, err := read(dir, k)
	if err == nil && (!exists || found < k.Version) {
		err = write(filepath.Join(dir, File), k)
	}
	return found, err
}

// Check is Open that changes nothing, for a process that does not hold the folder's lock yet.
func Check(dir string, k Kind) error {
	_, _, err := read(dir, k)
	return err
}

func read(dir string, k Kind) (found int, exists bool, err error) {
	path := filepath.Join(dir, File)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 1, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("format of %s: %w", k.Name, err)
	}
	text := strings.TrimSpace(string(b))
	found, err = strconv.Atoi(text)
	switch {
	case err != nil || found < 1:
		return 0, true, fmt.Errorf("format of %s: %s holds %.40q, not a version; restore the file, or move %s away", k.Name, path, text, dir)
	case found > k.Version:
		return found, true, fmt.Errorf("%s in %s has format %d and this smartlb knows formats up to %d: %w; run that one, or choose another folder",
			k.Name, dir, found, k.Version, ErrNewer)
	}
	return found, true, nil
}

func write(path string, k Kind) error {
	if err := renameio.WriteFile(path, []byte(strconv.Itoa(k.Version)+"\n"), 0o600); err != nil {
		return fmt.Errorf("format of %s: %w", k.Name, err)
	}
	return nil
}
