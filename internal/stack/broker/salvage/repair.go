package salvage

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"
)

// formatVersion is the version of all kfake files.
const formatVersion = 1

// Partition names one partition.
type Partition struct {
	Topic  string
	Number int32
}

// Damage is a part that was cut out of a file.
type Damage struct {
	File  string // path
	At    int    // first byte
	Bytes int    // length
	What  string // records of TOPIC/PARTITION, or entries
	Torn  bool   // the end of a write that a kill cut short: it was never acknowledged
	Copy  string // copy of the whole file before the repair; empty for torn ends
}

func (d Damage) String() string {
	if d.Torn {
		return fmt.Sprintf("%s: %d bytes of an unfinished write at byte %d", d.File, d.Bytes, d.At)
	}
	return fmt.Sprintf("%s: %d damaged bytes at byte %d (%s), the file is kept as %s", d.File, d.Bytes, d.At, d.What, d.Copy)
}

// Report is the result of a repair.
type Report struct {
	Damage       []Damage
	Transactions int      // open transactions that were aborted, counted once per partition
	Committed    int      // transactions whose commit was finished, counted once per partition
	Strays       []string // folders of topics that do not exist, moved to the folder "damaged"

	// Starts holds the given start offsets of partitions whose topics exist. The broker was killed while it deleted the
	// topics of the others.
	Starts map[Partition]int64
}

// Error means that a file cannot be repaired.
type Error struct {
	File string
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.File, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// mender is one run of Repair.
type mender struct {
	dir     string
	now     time.Time
	report  Report
	windows map[windowKey]*window
	given   map[int64]int16 // producers of aborted transactions, and their generation
	endings map[int64]Ending
	ended   map[int64]bool // producers whose commit was finished
	unclean bool           // the last stop was not clean
}

// Ending says that a transaction was being committed when the broker was killed.
type Ending struct {
	Epoch     int16 `json:"epoch"`      // generation of the producer
	NextEpoch bool  `json:"next_epoch"` // the commit gives the producer its next generation (KIP-890)
}

// Repair repairs dir. starts are the offsets before which records had been deleted; a partition that is not in it
// begins where its files begin. endings are the transactions that were being committed, by producer: they are committed
// in all partitions, and all other open transactions are aborted. A directory that was never used stays unchanged.
func Repair(dir string, starts map[Partition]int64, endings map[int64]Ending, now time.Time) (Report, error) {
	m := &mender{
		report: Report{Starts: map[Partition]int64{}}, dir: dir, now: now, windows: map[windowKey]*window{}, given: map[int64]int16{},
		endings: endings, ended: map[int64]bool{},
	}
	err := m.run(starts)
	var path *fs.PathError
	if errors.As(err, &path) {
		err = &Error{path.Path, path.Err}
	}
	return m.report, err
}

// topicsFile is kfake's topics.json.
type topicsFile struct {
	Version int `json:"version"`
	Topics  []struct {
		Name       string `json:"name"`
		Partitions int32  `json:"partitions"`
	} `json:"topics"`
}

func (m *mender) run(starts map[Partition]int64) error {
	if _, err := os.Stat(filepath.Join(m.dir, "meta.json")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range []string{"meta.json", "topics.json"} {
		if err := wellFormed(filepath.Join(m.dir, name)); err != nil {
			return err
		}
	}
	var topics topicsFile
	raw, err := read(filepath.Join(m.dir, "topics.json"))
	if err != nil {
		return err
	}
	if raw != nil {
		_ = json.Unmarshal(raw, &topics) // known to be valid
	}
	if _, err := m.framedLog(groupsLogFile); err != nil {
		return err
	}
	pids, err := m.framedLog("pids.log")
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, t := range topics.Topics {
		for n := range t.Partitions {
			known[filepath.Base(partitionDir(m.dir, t.Name, n))] = true
			if err := m.partition(t.Name, n, starts[Partition{t.Name, n}]); err != nil {
				return err
			}
		}
	}
	if err := m.strays(known); err != nil {
		return err
	}
	if !m.unclean {
		return nil
	}
	return errors.Join(m.saveProducers(pids), m.saveWindows())
}

// wellFormed returns an error if a file that cannot be rebuilt is damaged.
func wellFormed(path string) error {
	raw, err := read(path)
	if err != nil {
		return err
	}
	var content map[string]any
	if err := json.Unmarshal(raw, &content); raw != nil && err != nil {
		return &Error{path, fmt.Errorf("damaged: %w", err)}
	}
	return nil
}

// strays moves folders without a topic away: a new topic of that name would begin with their records.
func (m *mender) strays(known map[string]bool) error {
	parent := filepath.Join(m.dir, "partitions")
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if known[e.Name()] {
			continue
		}
		to, err := m.aside(e.Name())
		if err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(parent, e.Name()), to); err != nil {
			return err
		}
		m.report.Strays = append(m.report.Strays, to)
	}
	return nil
}

// aside returns a free path in the folder of damaged files.
func (m *mender) aside(name string) (string, error) {
	folder := filepath.Join(m.dir, "damaged")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	return filepath.Join(folder, m.now.UTC().Format("20060102T150405.000")+"-"+name), nil
}

// setAside reports holes and copies their file, unless the only hole is the torn end of a write.
func (m *mender) setAside(path string, raw []byte, holes []hole, what string) error {
	rel, _ := filepath.Rel(m.dir, path)
	kept := ""
	if slices.ContainsFunc(holes, func(h hole) bool { return !h.torn }) {
		to, err := m.aside(strings.ReplaceAll(strings.TrimPrefix(rel, "partitions/"), "/", "-"))
		if err != nil {
			return err
		}
		if err := write(to, raw); err != nil {
			return err
		}
		kept = to
	}
	for _, h := range holes {
		d := Damage{File: path, At: h.pos, Bytes: h.size, What: what, Torn: h.torn}
		if !h.torn {
			d.Copy = kept
		}
		m.report.Damage = append(m.report.Damage, d)
	}
	return nil
}

// read returns nil for a file that does not exist.
func read(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if raw == nil && err == nil {
		raw = []byte{}
	}
	return raw, err
}

func write(path string, raw []byte) error { return renameio.WriteFile(path, raw, 0o600) }

func writeJSON(path string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return write(path, raw)
}

func appendTo(path string, raw []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	return errors.Join(err, f.Close())
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
