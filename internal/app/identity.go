package app

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
)

// nodeID returns the configured id. Without one, it returns the id stored in dir, or creates an id and stores it there.
// Without a directory, the id is new at each start.
func nodeID(configured, dir string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	fresh := make([]byte, 4)
	_, _ = rand.Read(fresh)
	id := "node-" + hex.EncodeToString(fresh)
	if dir == "" {
		return id, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("data directory: %w", err)
	}
	path := filepath.Join(dir, "node-id")
	b, err := os.ReadFile(path)
	switch {
	case err == nil && strings.TrimSpace(string(b)) != "":
		return strings.TrimSpace(string(b)), nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("data directory: %w", err)
	}
	if err := renameio.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("data directory: %w", err)
	}
	return id, nil
}
