package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"github.com/twmb/franz-go/pkg/kadm"
)

// stateFile stores marks between runs.
const stateFile = "retention.json"

// callTimeout bounds one request of the broker to itself.
const callTimeout = 10 * time.Second

// kept is the state of one partition in the state file.
type kept struct {
	Topic     string `json:"topic"`
	ID        string `json:"id"` // topic id: a topic that was created again starts without marks
	Partition int32  `json:"partition"`
	Marks     []mark `json:"marks,omitempty"`
}

// sweeper deletes old records through the broker's own Kafka protocol.
type sweeper struct {
	path  string
	limit int64
	every time.Duration
	adm   *kadm.Client
	log   *slog.Logger

	marks map[partition][]mark
	ids   map[string]string
}

// load reads the state file; a damaged file is logged and ignored.
func (s *sweeper) load() {
	s.marks, s.ids = map[partition][]mark{}, map[string]string{}
	b, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var all []kept
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		s.log.Warn("kafka retention state is unreadable, ages count from now", "error", err)
		return
	}
	for _, k := range all {
		p := partition{k.Topic, k.Partition}
		s.marks[p], s.ids[k.Topic] = k.Marks, k.ID
	}
}

func (s *sweeper) save() error {
	all := make([]kept, 0, len(s.marks))
	for p, marks := range s.marks {
		all = append(all, kept{Topic: p.Topic, ID: s.ids[p.Topic], Partition: p.Partition, Marks: marks})
	}
	b, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return renameio.WriteFile(s.path, b, 0o600)
}

// run sweeps at once and then at regular intervals until ctx ends.
func (s *sweeper) run(ctx context.Context) {
	s.load()
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		if err := s.sweep(ctx, time.Now()); err != nil && ctx.Err() == nil {
			s.log.Warn("kafka retention did not finish", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sweep checks every partition once.
func (s *sweeper) sweep(ctx context.Context, now time.Time) error {
	spans, ids, err := s.look(ctx)
	if err != nil {
		return err
	}
	marks := map[partition][]mark{}
	for p, sp := range spans {
		if s.ids[p.Topic] != ids[p.Topic] {
			delete(s.marks, p)
		}
		if m := remark(s.marks[p], sp, now, s.every); len(m) > 0 {
			marks[p] = m
		}
	}
	s.marks, s.ids = marks, ids
	return errors.Join(s.apply(ctx, expire(spans, marks, s.limit, now)), s.save())
}

// look queries the broker for the content and the retention of its partitions.
func (s *sweeper) look(ctx context.Context) (map[partition]span, map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	topics, err := s.adm.ListTopics(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("list topics: %w", err)
	}
	spans, ids := map[partition]span{}, map[string]string{}
	names := topics.Names()
	if len(names) == 0 {
		return spans, ids, nil
	}
	for name, t := range topics {
		ids[name] = t.ID.String()
	}
	first, err := s.adm.ListStartOffsets(ctx, names...)
	if err != nil {
		return nil, nil, fmt.Errorf("list start offsets: %w", err)
	}
	last, err := s.adm.ListEndOffsets(ctx, names...)
	if err != nil {
		return nil, nil, fmt.Errorf("list end offsets: %w", err)
	}
	configs, err := s.adm.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		return nil, nil, fmt.Errorf("describe topics: %w", err)
	}
	dirs, err := s.adm.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("describe log directories: %w", err)
	}
	keep, keepBytes := map[string]int64{}, map[string]int64{}
	for _, rc := range configs {
		keep[rc.Name], keepBytes[rc.Name] = -1, -1
		for _, c := range rc.Configs {
			n, err := strconv.ParseInt(c.MaybeValue(), 10, 64)
			switch {
			case err != nil:
			case c.Key == "retention.ms":
				keep[rc.Name] = n
			case c.Key == "retention.bytes":
				keepBytes[rc.Name] = n
			}
		}
		for _, c := range rc.Configs {
			if c.Key == "cleanup.policy" && !strings.Contains(c.MaybeValue(), "delete") {
				keep[rc.Name], keepBytes[rc.Name] = -1, -1 // a compacted topic loses no key because of its age
			}
		}
	}
	last.Each(func(o kadm.ListedOffset) {
		begin, ok := first.Lookup(o.Topic, o.Partition)
		if !ok || o.Err != nil || begin.Err != nil {
			return
		}
		spans[partition{o.Topic, o.Partition}] = span{
			Start: begin.Offset, End: o.Offset,
			Keep: milliseconds(keep[o.Topic]), KeepBytes: keepBytes[o.Topic],
		}
	})
	dirs.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(dp kadm.DescribedLogDirPartition) {
			p := partition{dp.Topic, dp.Partition}
			if sp, ok := spans[p]; ok {
				sp.Bytes += dp.Size
				spans[p] = sp
			}
		})
	})
	return spans, ids, nil
}

// milliseconds converts a retention that may be longer than a Duration.
func milliseconds(n int64) time.Duration {
	const longest = int64(1<<63-1) / int64(time.Millisecond)
	if n < 0 || n > longest {
		return -1
	}
	return time.Duration(n) * time.Millisecond
}

func (s *sweeper) apply(ctx context.Context, cut map[partition]int64) error {
	if len(cut) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	offsets := kadm.Offsets{}
	for p, start := range cut {
		offsets.Add(kadm.Offset{Topic: p.Topic, Partition: p.Partition, At: start, LeaderEpoch: -1})
	}
	done, err := s.adm.DeleteRecords(ctx, offsets)
	if err == nil {
		err = done.Error()
	}
	if err != nil {
		return fmt.Errorf("delete old records: %w", err)
	}
	s.log.Info("kafka deleted old records", "partitions", len(cut))
	return nil
}

func statePath(dir string) string { return filepath.Join(dir, stateFile) }
