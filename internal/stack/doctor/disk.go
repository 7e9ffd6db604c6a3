//go:build unix

package doctor

import "golang.org/x/sys/unix"

// disk returns the file system that contains path.
func disk(path string) (Disk, bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return Disk{}, false
	}
	block := uint64(s.Bsize)
	return Disk{Path: path, Free: s.Bavail * block, Total: s.Blocks * block}, true
}
