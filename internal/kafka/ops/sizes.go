package ops

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/smartlb/smartlb/internal/kafka"
)

// Sizes is what lies on the disks of a cluster.
type Sizes struct {
	Topics     map[string]int64               // bytes of one copy
	Partitions map[kafka.TopicPartition]int64 // bytes of its largest copy
	Dirs       map[int32][]LogDir             // of each broker that told
}

// LogDir is one directory in which a broker keeps partitions.
type LogDir struct {
	Path       string `json:"path"`
	Bytes      int64  `json:"bytes"`      // of the partitions in it
	Partitions int    `json:"partitions"` // copies in it
	Free       int64  `json:"free"`       // of its file system; -1: the broker does not tell
	Total      int64  `json:"total"`      // of its file system; -1: the broker does not tell
	Error      string `json:"error,omitempty"`
}

// EmbeddedDir is what the embedded broker calls its directory, wherever that
// is. No other broker has a directory of this name, and what it says about
// free space means nothing.
const EmbeddedDir = "/mem/kfake"

// LogSizes asks every broker for its directories. It fails where none tells.
func LogSizes(ctx context.Context, a *kafka.Admin) (Sizes, error) {
	out := Sizes{Topics: map[string]int64{}, Partitions: map[kafka.TopicPartition]int64{}, Dirs: map[int32][]LogDir{}}
	all, err := kadm.NewClient(a.Client()).DescribeAllLogDirs(ctx, nil)
	var some *kadm.ShardErrors
	if err != nil && !(errors.As(err, &some) && !some.AllFailed) {
		return out, fmt.Errorf("ask for sizes: %w", err)
	}
	for broker, dirs := range all {
		for _, d := range dirs.Sorted() {
			out.add(broker, d)
		}
	}
	for tp, n := range out.Partitions {
		out.Topics[tp.Topic] += n
	}
	return out, nil
}

func (s *Sizes) add(broker int32, d kadm.DescribedLogDir) {
	dir := LogDir{Path: d.Dir, Free: d.UsableBytes, Total: d.TotalBytes}
	if d.Dir == EmbeddedDir {
		dir.Free, dir.Total = -1, -1
	}
	if d.Err != nil {
		dir.Error = d.Err.Error()
	}
	d.Topics.Each(func(p kadm.DescribedLogDirPartition) {
		dir.Bytes += p.Size
		dir.Partitions++
		if p.IsFuture {
			return // on its way to another directory: the copy that counts is elsewhere
		}
		tp := kafka.TopicPartition{Topic: p.Topic, Partition: p.Partition}
		s.Partitions[tp] = max(s.Partitions[tp], p.Size)
	})
	s.Dirs[broker] = append(s.Dirs[broker], dir)
}
