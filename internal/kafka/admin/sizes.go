package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/smartlb/smartlb/internal/kafka"
)

// Sizes holds the disk usage of a cluster.
type Sizes struct {
	Topics     map[string]int64               // bytes of one replica
	Partitions map[kafka.TopicPartition]int64 // bytes of its largest replica
	Dirs       map[int32][]LogDir             // of each broker that reported them
}

// LogDir is one directory in which a broker stores partitions.
type LogDir struct {
	Path       string `json:"path"`
	Bytes      int64  `json:"bytes"`      // of the partitions in it
	Partitions int    `json:"partitions"` // number of replicas in it
	Free       int64  `json:"free"`       // of its file system; -1: the broker does not report it
	Total      int64  `json:"total"`      // of its file system; -1: the broker does not report it
	Error      string `json:"error,omitempty"`
}

// EmbeddedDir is the directory name that the embedded broker reports, wherever its data is. No other broker has a
// directory of this name. The free space reported for it is meaningless.
const EmbeddedDir = "/mem/kfake"

// LogSizes requests the log directories of every broker. It fails if no broker reports them.
func LogSizes(ctx context.Context, a *kafka.Admin) (Sizes, error) {
	out := Sizes{Topics: map[string]int64{}, Partitions: map[kafka.TopicPartition]int64{}, Dirs: map[int32][]LogDir{}}
	all, err := kadm.NewClient(a.Client()).DescribeAllLogDirs(ctx, nil)
	var partial *kadm.ShardErrors
	if err != nil && !(errors.As(err, &partial) && !partial.AllFailed) {
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
			return // a replica that is moving to another directory: the current replica is elsewhere
		}
		tp := kafka.TopicPartition{Topic: p.Topic, Partition: p.Partition}
		s.Partitions[tp] = max(s.Partitions[tp], p.Size)
	})
	s.Dirs[broker] = append(s.Dirs[broker], dir)
}
