package stack

import (
	"fmt"
	"os"
)

// makeFolder makes the state folder. Only its owner may read it: it holds records, settings of connectors and logs. If
// an older smartlb made the folder of a stack readable for others, makeFolder removes that access. Any other existing
// folder keeps its mode.
func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	if info.Mode().Perm()&0o077 == 0 || !fileExists(choicePath(dir)) {
		return nil
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	return nil
}
