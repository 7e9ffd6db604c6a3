package salvage

import (
	"encoding/json"
	"path/filepath"
)

// groupsLogFile is kfake's log of groups' commits.
const groupsLogFile = "groups.log"

// DropGroups removes the entries of deleted groups from kfake's log of groups. before gives, for each group, the
// position in the log before which its entries do not count. Later entries of a group of the same name stay. A
// directory without such a log stays unchanged. Call it before Repair.
func DropGroups(dir string, before map[string]int64) error {
	if len(before) == 0 {
		return nil
	}
	path := filepath.Join(dir, groupsLogFile)
	raw, err := read(path)
	if err != nil || raw == nil {
		return err
	}
	frames, holes := readFrames(raw)
	drop := map[int]bool{}
	for _, f := range frames {
		var entry struct {
			Group string `json:"g"`
		}
		if json.Unmarshal(f.data, &entry) != nil {
			continue
		}
		if at, deleted := before[entry.Group]; deleted && int64(f.pos) < at {
			drop[f.pos] = true
		}
	}
	if len(drop) == 0 {
		return nil
	}
	kept := make([]byte, 0, len(raw))
	for _, f := range frames {
		if !drop[f.pos] {
			kept = append(kept, raw[f.pos:f.pos+f.size]...)
		}
	}
	for _, h := range holes { // Repair handles damage
		kept = append(kept, raw[h.pos:h.pos+h.size]...)
	}
	return write(path, kept)
}
