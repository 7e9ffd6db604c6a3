package api

import (
	"context"
	"net/http"

	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// TopicSetting is a setting with its valid values.
type TopicSetting struct {
	admin.Setting
	Rule *topic.Rule `json:"rule"` // null: only the broker knows the valid values
}

// settingRoutes registers the calls about topic settings.
func (s *Server) settingRoutes() {
	t, c := s.src.Topics, s.src.TopicChanges
	s.get("/api/v1/topics/{topic}/settings", t != nil, func(r *http.Request) (any, error) {
		all, err := t.TopicSettings(r.Context(), r.PathValue("topic"))
		return asked(withRules(all), err)
	})
	s.get("/api/v1/settings/rules", true, func(*http.Request) (any, error) { return topic.ConfigRules(), nil })
	s.change("POST", "/api/v1/topics/{topic}/settings", c != nil, change{need: access.Admin, action: "configure.topic", preview: true, do: onTopic(s.changeSettings)})
}

func withRules(all []admin.Setting) []TopicSetting {
	rules := topic.ConfigRules()
	out := []TopicSetting{}
	for _, x := range all {
		t := TopicSetting{Setting: x}
		if r, known := rules[x.Name]; known {
			t.Rule = &r
		}
		out = append(out, t)
	}
	return out
}

// SettingsChange sets some settings and returns others to their defaults.
type SettingsChange struct {
	Set   map[string]string `json:"set"` // values may have readable units: 7d, 11MiB, unlimited
	Unset []string          `json:"unset"`
}

func (s *Server) changeSettings(ctx context.Context, name string, q SettingsChange, a *act) (any, error) {
	all, err := s.src.TopicChanges.ChangeTopic(ctx, name, q.Set, q.Unset, a.dry)
	before, after := map[string]string{}, map[string]string{}
	for _, c := range all {
		before[c.Name], after[c.Name] = c.From, c.To
	}
	a.before, a.after = before, after
	return asked(nonNil(all), err)
}
