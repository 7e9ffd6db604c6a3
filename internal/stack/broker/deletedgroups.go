package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/renameio/v2"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// deletedGroupsFile stores which groups were deleted, in case the broker is killed. kfake appends groups' commits to a
// log, and deletions take effect there only at a clean stop. Without this file, a deleted group would return with its
// offsets.
const deletedGroupsFile = "deleted-groups.json"

const groupsLog = "groups.log"

// deletedGroups remembers deletions. When remember returns, its deletions are on disk. It is safe for concurrent use.
type deletedGroups struct {
	dir string
	mu  sync.Mutex
	at  map[string]int64 // group -> size of kfake's log when it was deleted
}

func loadDeletedGroups(dir string) (*deletedGroups, error) {
	d := &deletedGroups{dir: dir, at: map[string]int64{}}
	raw, err := os.ReadFile(d.path())
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &d.at)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.path(), err)
	}
	return d, nil
}

func (d *deletedGroups) path() string { return filepath.Join(d.dir, deletedGroupsFile) }

// before returns, for each group, the position in the log before which its entries do not count.
func (d *deletedGroups) before() map[string]int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.at)
}

// remember is the edit of a reply to DeleteGroups: the client gets the reply once the deletion is on disk.
func (d *deletedGroups) remember(resp kmsg.Response) {
	r, ok := resp.(*kmsg.DeleteGroupsResponse)
	if !ok {
		return
	}
	var groups []int
	for i, g := range r.Groups {
		if g.ErrorCode == 0 {
			groups = append(groups, i)
		}
	}
	if len(groups) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	size := int64(0)
	info, err := os.Stat(filepath.Join(d.dir, groupsLog))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return // the group never committed
	case err == nil:
		size = info.Size()
		for _, i := range groups {
			d.at[r.Groups[i].Group] = size
		}
		err = d.save()
	}
	if err != nil {
		for _, i := range groups {
			r.Groups[i].ErrorCode = kerr.KafkaStorageError.Code
		}
	}
}

func (d *deletedGroups) save() error {
	raw, err := json.Marshal(d.at)
	if err != nil {
		return err
	}
	return renameio.WriteFile(d.path(), raw, 0o600)
}

// clear forgets the deletions; the log itself no longer contains these groups.
func (d *deletedGroups) clear() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.at)
	if err := os.Remove(d.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// closeCluster stops kfake, which then rewrites its log of groups, so positions in the old log become meaningless. The
// deletions are forgotten first: a kill in between can bring back a deleted group, but never loses the offsets of an
// existing group.
func (b *Broker) closeCluster(cluster *kfake.Cluster) {
	if err := b.gone.clear(); err != nil {
		b.log.Error("kafka cannot forget which groups were deleted", "error", err)
	}
	cluster.Close()
}
