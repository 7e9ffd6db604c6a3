package salvage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Types of kfake's snapshot.json of a partition.
type (
	snapshot struct {
		Version          int           `json:"version"`
		HighWatermark    int64         `json:"high_watermark"`
		LastStableOffset int64         `json:"last_stable_offset"`
		LogStartOffset   int64         `json:"log_start_offset"`
		Epoch            int32         `json:"epoch"`
		LeaderNode       int32         `json:"leader_node,omitempty"`
		MaxTimestamp     int64         `json:"max_timestamp"`
		CreatedAt        time.Time     `json:"created_at"`
		AbortedTxns      []aborted     `json:"aborted_txns,omitempty"`
		Segments         []segmentInfo `json:"segments"`
	}

	aborted struct {
		ProducerID  int64 `json:"producer_id"`
		FirstOffset int64 `json:"first_offset"`
		LastOffset  int64 `json:"last_offset"`
	}

	segmentInfo struct {
		BaseOffset int64 `json:"base_offset"`
		Size       int64 `json:"size"`
		MinEpoch   int32 `json:"min_epoch,omitempty"`
		MaxEpoch   int32 `json:"max_epoch,omitempty"`
	}
)

// segment is one file of a partition.
type segment struct {
	base    int64
	size    int64 // on disk
	batches []batch
}

// partition is the log of one partition during the repair.
type partition struct {
	topic    string
	number   int32
	dir      string
	segments []segment
	snapshot snapshot
	clean    bool // the snapshot matches these files
}

func (p *partition) name() string { return fmt.Sprintf("%s/%d", p.topic, p.number) }

func partitionDir(dir, topic string, number int32) string {
	return filepath.Join(dir, "partitions", fmt.Sprintf("%s-%d", url.PathEscape(topic), number))
}

func (p *partition) file(base int64, ending string) string {
	return filepath.Join(p.dir, strconv.FormatInt(base, 10)+ending)
}

// partition repairs one partition.
func (m *mender) partition(topic string, number int32, start int64) error {
	p := &partition{topic: topic, number: number, dir: partitionDir(m.dir, topic, number)}
	if err := p.list(); err != nil {
		return err
	}
	if start > 0 {
		m.report.Starts[Partition{topic, number}] = start
	}
	if len(p.segments) > 0 {
		if err := p.loadSnapshot(); err != nil {
			return err
		}
		if err := m.readSegments(p); err != nil {
			return err
		}
	}
	if len(p.segments) == 0 {
		return p.empty(start)
	}
	for _, s := range p.segments {
		for _, b := range s.batches {
			m.follow(p, b)
		}
	}
	if p.clean && start <= p.snapshot.LogStartOffset {
		return nil
	}
	if p.clean {
		end := p.snapshot.HighWatermark
		p.snapshot.LogStartOffset = min(start, end)
		return writeJSON(filepath.Join(p.dir, "snapshot.json"), p.snapshot)
	}
	m.unclean = true
	return m.rebuild(p, start)
}

// empty preserves the start offset of a partition whose records were all deleted. kfake begins a partition without
// segments at 0, so committed offsets would be beyond the end of the log. An empty segment with a snapshot sets the
// start offset.
func (p *partition) empty(start int64) error {
	if start <= 0 {
		return nil
	}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	snap := snapshot{
		Version: formatVersion, HighWatermark: start, LastStableOffset: start, LogStartOffset: start,
		Epoch: p.snapshot.Epoch, CreatedAt: p.snapshot.CreatedAt, Segments: []segmentInfo{{BaseOffset: start}},
	}
	return errors.Join(write(p.file(start, ".dat"), nil), write(p.file(start, ".idx"), nil), writeJSON(filepath.Join(p.dir, "snapshot.json"), snap))
}

// follow records the numbers of idempotent producers.
func (m *mender) follow(p *partition, b batch) {
	if b.producer < 0 || b.control() || b.sequence < 0 {
		return
	}
	k := windowKey{b.producer, p.topic, p.number}
	w := m.windows[k]
	if w == nil {
		w = &window{}
		m.windows[k] = w
	}
	w.add(b)
}

// list finds the segments.
func (p *partition) list() error {
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, is := strings.CutSuffix(e.Name(), ".dat")
		if !is {
			continue
		}
		base, err := strconv.ParseInt(name, 10, 64)
		if err != nil {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		p.segments = append(p.segments, segment{base: base, size: info.Size()})
	}
	slices.SortFunc(p.segments, func(a, b segment) int { return int(min(1, max(-1, a.base-b.base))) })
	return nil
}

func (p *partition) loadSnapshot() error {
	raw, err := read(filepath.Join(p.dir, "snapshot.json"))
	if err != nil || raw == nil {
		return err
	}
	if json.Unmarshal(raw, &p.snapshot) != nil || p.snapshot.Version > formatVersion {
		p.snapshot = snapshot{}
		return nil
	}
	p.clean = len(p.snapshot.Segments) == len(p.segments)
	for i := 0; p.clean && i < len(p.segments); i++ {
		s := p.snapshot.Segments[i]
		p.clean = s.BaseOffset == p.segments[i].base && s.Size == p.segments[i].size
	}
	return nil
}

// readSegments reads all batches and cuts out damaged data.
func (m *mender) readSegments(p *partition) error {
	least := int64(0)
	kept := p.segments[:0]
	for i, s := range p.segments {
		least = max(least, s.base)
		path := p.file(s.base, ".dat")
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var holes []hole
		s.batches, holes = scan(raw, least)
		if len(s.batches) > 0 {
			least = s.batches[len(s.batches)-1].last + 1
		}
		if len(holes) > 0 {
			p.clean = false
			for j := range holes {
				holes[j].torn = holes[j].torn && i == len(p.segments)-1
			}
			if err := m.setAside(path, raw, holes, "records of "+p.name()); err != nil {
				return err
			}
		}
		if len(s.batches) == 0 {
			p.clean = false
			if err := errors.Join(os.Remove(path), ignoreMissing(os.Remove(p.file(s.base, ".idx")))); err != nil {
				return err
			}
			continue
		}
		if len(holes) > 0 {
			var whole []byte
			for _, b := range s.batches {
				whole = append(whole, bytesOf(raw, b)...)
			}
			if err := write(path, whole); err != nil {
				return err
			}
			s.size = int64(len(whole))
		}
		kept = append(kept, s)
	}
	p.segments = kept
	return nil
}

// rebuild ends open transactions and writes the index files and the snapshot
// from the batches.
func (m *mender) rebuild(p *partition, start int64) error {
	snap := snapshot{Version: formatVersion, Epoch: p.snapshot.Epoch, CreatedAt: p.snapshot.CreatedAt}
	type opened struct {
		first      int64
		generation int16
	}
	open := map[int64]opened{}
	end := int64(0)
	for _, s := range p.segments {
		for _, b := range s.batches {
			end, snap.Epoch, snap.MaxTimestamp = b.last+1, max(snap.Epoch, b.epoch), max(snap.MaxTimestamp, b.maxAt)
			switch o, is := open[b.producer]; {
			case b.control():
				if is && !b.commit {
					snap.AbortedTxns = append(snap.AbortedTxns, aborted{b.producer, o.first, b.first})
				}
				delete(open, b.producer)
			case b.transactional() && !is:
				open[b.producer] = opened{b.first, b.generation}
			}
		}
	}
	last := &p.segments[len(p.segments)-1]
	var markers []byte
	for _, producer := range sortedKeys(open) {
		o := open[producer]
		ending, commit := m.endings[producer]
		commit = commit && ending.Epoch == o.generation
		raw := marker(end, snap.Epoch, producer, o.generation, commit, m.now)
		b, _ := readBatch(raw)
		last.batches = append(last.batches, b)
		markers = append(markers, raw...)
		if commit {
			m.ended[producer] = true
			m.report.Committed++
		} else {
			snap.AbortedTxns = append(snap.AbortedTxns, aborted{producer, o.first, end})
			m.given[producer] = max(m.given[producer], o.generation)
			m.report.Transactions++
		}
		end++
	}
	if len(markers) > 0 {
		if err := appendTo(p.file(last.base, ".dat"), markers); err != nil {
			return err
		}
		last.size += int64(len(markers))
	}
	first := p.segments[0].batches[0]
	if snap.CreatedAt.IsZero() {
		snap.CreatedAt = time.UnixMilli(first.at)
	}
	snap.HighWatermark, snap.LastStableOffset = end, end
	snap.LogStartOffset = min(max(first.first, start, min(p.snapshot.LogStartOffset, end)), end)
	for _, s := range p.segments {
		var index []byte
		info := segmentInfo{BaseOffset: s.base, Size: s.size, MinEpoch: s.batches[0].epoch, MaxEpoch: s.batches[0].epoch}
		for _, b := range s.batches {
			index = append(index, indexEntry(b.epoch)...)
			info.MinEpoch, info.MaxEpoch = min(info.MinEpoch, b.epoch), max(info.MaxEpoch, b.epoch)
		}
		if err := write(p.file(s.base, ".idx"), index); err != nil {
			return err
		}
		snap.Segments = append(snap.Segments, info)
	}
	return writeJSON(filepath.Join(p.dir, "snapshot.json"), snap)
}
