package salvage

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
)

// kfake's files and types about producers.
type (
	// pidEntry is an entry of pids.log.
	pidEntry struct {
		Type    string `json:"type"` // init, endtx, timeout
		PID     int64  `json:"pid"`
		Epoch   int16  `json:"epoch"`
		TxID    string `json:"txid,omitempty"`
		Timeout int32  `json:"timeout,omitempty"`
		Commit  *bool  `json:"commit,omitempty"`
	}

	seqWindows struct {
		Version int         `json:"version"`
		Windows []seqWindow `json:"windows"`
	}

	// seqWindow holds the last batches of a producer in a partition.
	seqWindow struct {
		PID     int64       `json:"pid"`
		Topic   string      `json:"topic"`
		Part    int32       `json:"partition"`
		Entries [5]seqEntry `json:"entries"`
		Count   uint8       `json:"count"`
		At      uint8       `json:"at"`
		Epoch   int16       `json:"epoch"`
		Seen    bool        `json:"seen"`
		NextSeq int32       `json:"next_seq"`
	}

	seqEntry struct {
		FirstSeq int32 `json:"first_seq"`
		NextSeq  int32 `json:"next_seq"`
		Offset   int64 `json:"offset"`
	}
)

// windowKey names a producer in a partition.
type windowKey struct {
	producer int64
	topic    string
	part     int32
}

// window tracks the batches of one producer in one partition, as a broker does that rebuilds its producer state from
// the log.
type window struct {
	generation int16
	last       []seqEntry // at most 5
}

func (w *window) add(b batch) {
	if len(w.last) > 0 && b.generation != w.generation {
		w.last = nil
	}
	w.generation = b.generation
	next := int32((int64(b.sequence) + int64(b.records)) % math.MaxInt32)
	w.last = append(w.last, seqEntry{b.sequence, next, b.first})
	if len(w.last) > 5 {
		w.last = w.last[1:]
	}
}

// saveWindows writes the state of idempotent producers as found in the logs. It keeps state of the last clean stop that
// the logs no longer contain.
func (m *mender) saveWindows() error {
	path := filepath.Join(m.dir, "seq_windows.json")
	raw, err := read(path)
	if err != nil {
		return err
	}
	var old, all seqWindows
	if raw != nil && json.Unmarshal(raw, &old) != nil {
		old = seqWindows{} // rebuilt below
	}
	all.Version = formatVersion
	for _, w := range old.Windows {
		if _, known := m.windows[windowKey{w.PID, w.Topic, w.Part}]; !known && w.Count > 0 {
			all.Windows = append(all.Windows, w)
		}
	}
	for k, w := range m.windows {
		n := len(w.last)
		out := seqWindow{
			PID: k.producer, Topic: k.topic, Part: k.part, Epoch: w.generation, Seen: true,
			Count: uint8(n), At: uint8(n % 5), NextSeq: w.last[n-1].NextSeq,
		}
		copy(out.Entries[:], w.last)
		all.Windows = append(all.Windows, out)
	}
	slices.SortFunc(all.Windows, func(a, b seqWindow) int {
		return cmp.Or(cmp.Compare(a.PID, b.PID), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Part, b.Part))
	})
	return writeJSON(path, all)
}

// saveProducers writes how the open transactions of producers ended.
//
// Producers of aborted transactions must start again. If they continued, the rest of a transaction would count as the
// whole. Their generation rises by two, because a producer that is one behind counts as a retry. A producer whose commit
// was finished gets what the commit would have left, so its retry of the commit succeeds.
func (m *mender) saveProducers(log []frame) error {
	if len(m.given)+len(m.ended) == 0 {
		return nil
	}
	latest, begun := map[int64]int16{}, map[int64]pidEntry{}
	for _, f := range log {
		var e pidEntry
		if json.Unmarshal(f.data, &e) == nil {
			latest[e.PID] = e.Epoch
			if e.Type == "init" {
				begun[e.PID] = e
			}
		}
	}
	path := filepath.Join(m.dir, "pids.log")
	raw, err := read(path)
	if err != nil {
		return err
	}
	add := func(e pidEntry) {
		data, mistake := json.Marshal(e)
		err = errors.Join(err, mistake)
		raw = appendFrame(raw, data)
	}
	for producer, generation := range m.given {
		epoch, known := latest[producer]
		if !known {
			continue
		}
		epoch = max(epoch, generation)
		if epoch >= math.MaxInt16-2 {
			epoch = math.MaxInt16 - 3
		}
		add(pidEntry{Type: "timeout", PID: producer, Epoch: epoch + 2})
	}
	for producer := range m.ended {
		ending := m.endings[producer]
		if latest[producer] != ending.Epoch {
			continue
		}
		commit := true
		add(pidEntry{Type: "endtx", PID: producer, Epoch: ending.Epoch, Commit: &commit})
		if next := begun[producer]; ending.NextEpoch && next.TxID != "" && ending.Epoch < math.MaxInt16-1 {
			next.Epoch, next.Commit = ending.Epoch+1, &commit
			add(next)
		}
	}
	if err != nil {
		return fmt.Errorf("pids.log: %w", err)
	}
	return write(path, raw)
}
