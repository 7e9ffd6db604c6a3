package stack

import (
	"fmt"
	"os"
)

// makeFolder makes the state folder. It belongs to its owner alone: records,
// settings of connectors and logs are in it. A folder of a stack that an older
// smartlb made readable for others is closed to them; any other folder that
// exists keeps its mode.
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
