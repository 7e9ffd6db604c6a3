package browse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/smartlb/smartlb/internal/kafka/admin"
)

// Threshold is the lag above which the console marks a group.
type Threshold struct {
	Lag int64 `json:"lag"`
}

// thresholdsFile is the file of the thresholds, in the data directory.
const thresholdsFile = "lag-thresholds.json"

// maxThresholds is the highest number of thresholds.
const maxThresholds = 10_000

// loadThresholds reads the stored thresholds. A missing file means no thresholds.
func loadThresholds(dir string) (map[string]Threshold, error) {
	out := map[string]Threshold{}
	if dir == "" {
		return out, nil
	}
	raw, err := os.ReadFile(filepath.Join(dir, thresholdsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		return map[string]Threshold{}, fmt.Errorf("lag thresholds: %w", err)
	}
	return out, nil
}

// Resume reads the thresholds again, after another process of this node has written to the directory.
func (b *Browser) Resume() error {
	b.setting.Lock()
	defer b.setting.Unlock()
	read, err := loadThresholds(b.cfg.Dir)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.thresholds = read
	return nil
}

// SetThreshold sets the threshold of an existing group; nil removes it. With a data directory, the change survives a
// restart.
func (b *Browser) SetThreshold(ctx context.Context, group string, t *Threshold) error {
	if t != nil {
		if _, err := admin.DescribeGroup(ctx, b.cfg.Admin, group); err != nil {
			return err
		}
	}
	b.setting.Lock()
	defer b.setting.Unlock()
	b.mu.Lock()
	next := maps.Clone(b.thresholds)
	b.mu.Unlock()
	delete(next, group)
	if t != nil {
		if len(next) >= maxThresholds {
			return fmt.Errorf("there are already %d thresholds, which is the limit", len(next))
		}
		next[group] = *t
	}
	if b.cfg.Dir != "" {
		raw, err := json.Marshal(next)
		if err != nil {
			return err
		}
		if err := renameio.WriteFile(filepath.Join(b.cfg.Dir, thresholdsFile), raw, 0o600); err != nil {
			return fmt.Errorf("save the threshold: %w", err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.thresholds = next
	return nil
}

// alarm returns a group's threshold and whether lag is above it. The caller holds b.mu.
func (b *Browser) alarm(group string, lag int64) (*Threshold, bool) {
	t, ok := b.thresholds[group]
	if !ok {
		return nil, false
	}
	return &t, lag > t.Lag
}

// Watched is a group with a threshold.
type Watched struct {
	Group string
	Lag   int64
	Alarm bool
}

// Watched lists the groups with a threshold and their lag at the latest measurement. It omits groups without a
// measurement.
func (b *Browser) Watched() []Watched {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Watched
	for name := range b.thresholds {
		if past := b.groups.all[name]; past != nil {
			_, high := b.alarm(name, past.last.Lag)
			out = append(out, Watched{name, past.last.Lag, high})
		}
	}
	return out
}
