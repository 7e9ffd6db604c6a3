package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/renameio/v2"

	"github.com/smartlb/smartlb/internal/stack/broker/salvage"
)

// startsFile stores where logs begin, in case the broker is killed: kfake saves it only at a clean stop.
const startsFile = "log-starts.json"

// logStart is one entry of the file.
type logStart struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Start     int64  `json:"start"`
}

// starts remembers where logs begin. When raise returns, its offsets are on disk. It is safe for concurrent use.
type starts struct {
	path string
	mu   sync.Mutex
	at   map[salvage.Partition]int64
}

// loadStarts reads the file. A damaged file is an error: otherwise deleted records would come back.
func loadStarts(dir string) (*starts, error) {
	s := &starts{path: filepath.Join(dir, startsFile), at: map[salvage.Partition]int64{}}
	raw, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	var all []logStart
	if err == nil {
		err = json.Unmarshal(raw, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.path, err)
	}
	for _, one := range all {
		s.at[salvage.Partition{Topic: one.Topic, Number: one.Partition}] = one.Start
	}
	return s, nil
}

// all returns a copy.
func (s *starts) all() map[salvage.Partition]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[salvage.Partition]int64, len(s.at))
	for p, start := range s.at {
		out[p] = start
	}
	return out
}

// raise stores starts that are higher than the known starts.
func (s *starts) raise(higher map[salvage.Partition]int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := false
	for p, start := range higher {
		if start > s.at[p] {
			s.at[p], changed = start, true
		}
	}
	if !changed {
		return nil
	}
	return s.save()
}

// keep drops all starts except those in only.
func (s *starts) keep(only map[salvage.Partition]int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(only) == len(s.at) {
		return nil
	}
	s.at = only
	return s.save()
}

// forget drops the partitions of topics for which gone is true: a later topic of the same name begins at 0.
func (s *starts) forget(gone func(topic string) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := false
	for p := range s.at {
		if gone(p.Topic) {
			delete(s.at, p)
			changed = true
		}
	}
	if !changed {
		return nil
	}
	return s.save()
}

func (s *starts) save() error {
	list := make([]logStart, 0, len(s.at))
	for p, start := range s.at {
		list = append(list, logStart{p.Topic, p.Number, start})
	}
	raw, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return renameio.WriteFile(s.path, raw, 0o600)
}
