package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/google/renameio/v2"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// otherSettingsFile stores the settings of groups and of client metrics, in case the broker is killed: kfake saves them
// only at a clean stop.
const otherSettingsFile = "other-settings.json"

// otherSettings remembers settings of resources that are neither topics nor brokers. When remember returns, they are on
// disk. It is safe for concurrent use.
type otherSettings struct {
	path string
	mu   sync.Mutex
	of   map[string]*resourceSettings // by kind and name
}

type resourceSettings struct {
	Type   kmsg.ConfigResourceType `json:"type"`
	Name   string                  `json:"name"`
	Values map[string]string       `json:"values"`
}

func loadOtherSettings(dir string) (*otherSettings, error) {
	s := &otherSettings{path: filepath.Join(dir, otherSettingsFile), of: map[string]*resourceSettings{}}
	raw, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	var all []*resourceSettings
	if err == nil {
		err = json.Unmarshal(raw, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.path, err)
	}
	for _, r := range all {
		s.of[settingsKey(r.Type, r.Name)] = r
	}
	return s, nil
}

func settingsKey(of kmsg.ConfigResourceType, name string) string {
	return fmt.Sprintf("%d %s", of, name)
}

func remembered(of kmsg.ConfigResourceType) bool {
	return of == kmsg.ConfigResourceTypeGroupConfig || of == kmsg.ConfigResourceTypeClientMetrics
}

// remember returns the edit of the reply to a change of settings; nil if the request has no settings that are stored
// here.
func (s *otherSettings) remember(req *kmsg.IncrementalAlterConfigsRequest) func(kmsg.Response) {
	asked := slices.DeleteFunc(slices.Clone(req.Resources), func(r kmsg.IncrementalAlterConfigsRequestResource) bool { return !remembered(r.ResourceType) })
	if len(asked) == 0 || req.ValidateOnly {
		return nil
	}
	return func(resp kmsg.Response) {
		r, ok := resp.(*kmsg.IncrementalAlterConfigsResponse)
		if !ok {
			return
		}
		for _, want := range asked {
			i := slices.IndexFunc(r.Resources, func(done kmsg.IncrementalAlterConfigsResponseResource) bool {
				return done.ResourceType == want.ResourceType && done.ResourceName == want.ResourceName
			})
			if i >= 0 && r.Resources[i].ErrorCode == 0 && s.change(want) != nil {
				r.Resources[i].ErrorCode = kerr.KafkaStorageError.Code
			}
		}
	}
}

func (s *otherSettings) change(want kmsg.IncrementalAlterConfigsRequestResource) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := settingsKey(want.ResourceType, want.ResourceName)
	r := s.of[key]
	if r == nil {
		r = &resourceSettings{want.ResourceType, want.ResourceName, map[string]string{}}
		s.of[key] = r
	}
	for _, c := range want.Configs {
		if c.Op == kmsg.IncrementalAlterConfigOpDelete || c.Value == nil {
			delete(r.Values, c.Name)
			continue
		}
		r.Values[c.Name] = *c.Value
	}
	if len(r.Values) == 0 {
		delete(s.of, key)
	}
	return s.save()
}

func (s *otherSettings) save() error {
	raw, err := json.Marshal(s.sorted())
	if err != nil {
		return err
	}
	return renameio.WriteFile(s.path, raw, 0o600)
}

func (s *otherSettings) sorted() []*resourceSettings {
	out := make([]*resourceSettings, 0, len(s.of))
	for _, key := range slices.Sorted(maps.Keys(s.of)) {
		out = append(out, s.of[key])
	}
	return out
}

// restore applies the stored settings to a broker that has just started.
func (s *otherSettings) restore(ctx context.Context, client kmsg.Requestor) error {
	s.mu.Lock()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	for _, r := range s.sorted() {
		one := kmsg.NewIncrementalAlterConfigsRequestResource()
		one.ResourceType, one.ResourceName = r.Type, r.Name
		for _, key := range slices.Sorted(maps.Keys(r.Values)) {
			c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			c.Name, c.Value = key, kmsg.StringPtr(r.Values[key])
			one.Configs = append(one.Configs, c)
		}
		req.Resources = append(req.Resources, one)
	}
	s.mu.Unlock()
	if len(req.Resources) == 0 {
		return nil
	}
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	for _, r := range resp.Resources {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			return fmt.Errorf("settings of %s: %w", r.ResourceName, err)
		}
	}
	return nil
}
