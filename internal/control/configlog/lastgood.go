package configlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/smartlb/smartlb/internal/event"
)

// lastGoodFormat is increased when an older program could not read the file.
const lastGoodFormat = 1

// lastGood is the configuration that a node serves without Kafka. It also identifies the log it came from, so that the
// node does not follow an empty or different log.
type lastGood struct {
	Format     int              `json:"format"`
	ClusterID  string           `json:"clusterId"`
	TopicID    string           `json:"topicId"`
	NextOffset int64            `json:"nextOffset"`
	Revision   string           `json:"revision"`
	Document   string           `json:"document"`
	Overrides  []event.Override `json:"overrides,omitempty"`
}

func lastGoodPath(dir string) string { return filepath.Join(dir, "last-good-config.json") }

// loadLastGood returns nil if there is no file.
func loadLastGood(dir string) (*lastGood, error) {
	if dir == "" {
		return nil, nil
	}
	b, err := os.ReadFile(lastGoodPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("last good configuration: %w", err)
	}
	var g lastGood
	if err := json.Unmarshal(b, &g); err != nil {
		return nil, fmt.Errorf("last good configuration %s is damaged: %w (move it away, and the node starts from its file or from Kafka)", lastGoodPath(dir), err)
	}
	if g.Format > lastGoodFormat {
		return nil, fmt.Errorf("%s was written by a newer smartlb (format %d, this version reads %d): run the newer version, or move the file away", lastGoodPath(dir), g.Format, lastGoodFormat)
	}
	return &g, nil
}

// save replaces the file atomically: after a crash the file is either the old or the new file.
func (g lastGood) save(dir string) error {
	if dir == "" {
		return nil
	}
	g.Format = lastGoodFormat
	b, err := json.Marshal(g)
	if err != nil {
		return err
	}
	return renameio.WriteFile(lastGoodPath(dir), b, 0o600)
}
