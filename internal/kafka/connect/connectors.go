package connect

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/smartlb/smartlb/internal/base/nearest"
)

// Info is a worker's description of itself.
type Info struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Cluster string `json:"kafka_cluster_id"`
}

// Info requests version and cluster.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var out Info
	return out, c.do(ctx, http.MethodGet, "/", nil, nil, &out)
}

// Plugin is a class that the worker can run.
type Plugin struct {
	Class   string `json:"class"`
	Type    string `json:"type"` // source, sink, converter, transformation ...
	Version string `json:"version"`
}

// Plugins lists the connector classes by name; with all set, also converters, transformations and so on.
func (c *Client) Plugins(ctx context.Context, all bool) ([]Plugin, error) {
	out := []Plugin{}
	err := c.do(ctx, http.MethodGet, "/connector-plugins", url.Values{"connectorsOnly": {fmt.Sprint(!all)}}, nil, &out)
	slices.SortFunc(out, func(a, b Plugin) int { return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Class, b.Class)) })
	return out, err
}

// Task is one task of a connector.
type Task struct {
	ID     int    `json:"id"`
	State  string `json:"state"` // RUNNING, PAUSED, FAILED, UNASSIGNED, RESTARTING
	Worker string `json:"worker_id"`
	Trace  string `json:"trace,omitempty"` // stack trace of the failure
}

// Connector is one connector with its tasks.
type Connector struct {
	Name   string            `json:"name"`
	Type   string            `json:"type"`  // source or sink
	State  string            `json:"state"` // RUNNING, PAUSED, STOPPED, FAILED, UNASSIGNED, RESTARTING
	Worker string            `json:"worker"`
	Trace  string            `json:"trace,omitempty"`
	Class  string            `json:"class"`
	Tasks  []Task            `json:"tasks"`
	Config map[string]string `json:"config,omitempty"` // secrets masked
	Topics []string          `json:"topics,omitempty"` // topics that it has used
	// MissingTopics are named by the settings and do not exist: the connector waits for them, whatever its state is.
	// Empty if unknown.
	MissingTopics []string `json:"missingTopics,omitempty"`
}

// Failed reports whether the connector or one of its tasks failed.
func (c Connector) Failed() bool {
	return c.State == "FAILED" || slices.ContainsFunc(c.Tasks, func(t Task) bool { return t.State == "FAILED" })
}

// status and info are the two parts of the worker's response.
type status struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	Connector Task   `json:"connector"`
	Tasks     []Task `json:"tasks"`
}

func (s status) connector(config map[string]string) Connector {
	out := Connector{
		Name: s.Name, Type: s.Type, State: s.Connector.State, Worker: s.Connector.Worker, Trace: s.Connector.Trace,
		Class: config["connector.class"], Tasks: slices.Clone(s.Tasks), Config: Mask(config),
	}
	if out.Tasks == nil {
		out.Tasks = []Task{}
	}
	slices.SortFunc(out.Tasks, func(a, b Task) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// List lists the connectors by name.
func (c *Client) List(ctx context.Context) ([]Connector, error) {
	var answer map[string]struct {
		Status status `json:"status"`
		Info   struct {
			Config map[string]string `json:"config"`
		} `json:"info"`
	}
	if err := c.do(ctx, http.MethodGet, "/connectors", url.Values{"expand": {"status", "info"}}, nil, &answer); err != nil {
		return []Connector{}, err
	}
	out := []Connector{}
	for name, a := range answer {
		a.Status.Name = name
		out = append(out, a.Status.connector(a.Info.Config))
	}
	slices.SortFunc(out, func(a, b Connector) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// Describe returns all details of one connector.
func (c *Client) Describe(ctx context.Context, name string) (Connector, error) {
	var s status
	var config map[string]string
	if err := c.do(ctx, http.MethodGet, at("connectors", name, "config"), nil, nil, &config); err != nil {
		return Connector{Tasks: []Task{}}, c.named(ctx, name, err)
	}
	err := c.do(ctx, http.MethodGet, at("connectors", name, "status"), nil, nil, &s)
	if errors.Is(err, ErrNotFound) { // just created: the connector has no worker yet
		s, err = status{Name: name, Connector: Task{State: "UNASSIGNED"}}, nil
	}
	if err != nil {
		return Connector{Tasks: []Task{}}, c.named(ctx, name, err)
	}
	out := s.connector(config)
	var used map[string]struct {
		Topics []string `json:"topics"`
	}
	if err := c.do(ctx, http.MethodGet, at("connectors", name, "topics"), nil, nil, &used); err == nil { // this request may be disabled
		out.Topics = used[name].Topics
		slices.Sort(out.Topics)
	}
	return out, nil
}

// Get reads a connector's settings. Secrets are masked unless bare is set.
func (c *Client) Get(ctx context.Context, name string, bare bool) (map[string]string, error) {
	config := map[string]string{}
	if err := c.do(ctx, http.MethodGet, at("connectors", name, "config"), nil, nil, &config); err != nil {
		return config, c.named(ctx, name, err)
	}
	if bare {
		return config, nil
	}
	return Mask(config), nil
}

// named adds the most similar connector name to an error about a connector that does not exist.
func (c *Client) named(ctx context.Context, name string, err error) error {
	if !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("connector %s: %w", name, err)
	}
	hint := ""
	if all, err := c.Names(ctx); err == nil {
		if near := nearest.Name(name, all); near != "" {
			hint = fmt.Sprintf(" (did you mean %s?)", near)
		}
	}
	return &Error{http.StatusNotFound, fmt.Sprintf("connector %s does not exist%s", name, hint)}
}

// Names lists the names of the connectors.
func (c *Client) Names(ctx context.Context) ([]string, error) {
	names := []string{}
	err := c.do(ctx, http.MethodGet, "/connectors", nil, nil, &names)
	slices.Sort(names)
	return names, err
}

// Invalid is a setting that a connector's class does not accept.
type Invalid struct {
	Setting string   `json:"setting"`
	Errors  []string `json:"errors"`
}

// Kind returns whether a connector class is a source or a sink.
func (c *Client) Kind(ctx context.Context, class string) (string, error) {
	plugins, err := c.Plugins(ctx, false)
	if err != nil {
		return "", err
	}
	for _, p := range plugins {
		if p.named(class) {
			return p.Type, nil
		}
	}
	return "", nil
}

// named reports whether settings may use class as the plugin's name: its full class name, or the last part with or
// without Connector.
func (p Plugin) named(class string) bool {
	return slices.Contains(p.names(), class)
}

func (p Plugin) names() []string {
	short := p.Class[strings.LastIndex(p.Class, ".")+1:]
	return []string{p.Class, short, strings.TrimSuffix(short, "Connector")}
}

// Validate requests validation of settings by a connector's class, and returns the invalid settings.
func (c *Client) Validate(ctx context.Context, config map[string]string) ([]Invalid, error) {
	class := config["connector.class"]
	if class == "" {
		return []Invalid{{Setting: "connector.class", Errors: []string{"is missing"}}}, nil
	}
	if err := c.knows(ctx, class); err != nil {
		return nil, err
	}
	var answer struct {
		Configs []struct {
			Value struct {
				Name   string   `json:"name"`
				Value  *string  `json:"value"`
				Errors []string `json:"errors"`
			} `json:"value"`
		} `json:"configs"`
	}
	if err := c.do(ctx, http.MethodPut, at("connector-plugins", class, "config", "validate"), nil, config, &answer); err != nil {
		return nil, fmt.Errorf("validate: %w", err)
	}
	out := []Invalid{}
	for _, x := range answer.Configs {
		errs := x.Value.Errors
		if problem := unresolved(config[x.Value.Name], x.Value.Value); problem != "" {
			errs = append(errs, problem)
		}
		if len(errs) > 0 {
			out = append(out, Invalid{x.Value.Name, errs})
		}
	}
	slices.SortFunc(out, func(a, b Invalid) int { return cmp.Compare(a.Setting, b.Setting) })
	return out, nil
}

// knows checks that the worker has a class. For an unknown class, workers return 500 (3.9) or 400 (4.x) and a very long
// text.
func (c *Client) knows(ctx context.Context, class string) error {
	plugins, err := c.Plugins(ctx, false)
	if err != nil {
		return err
	}
	var names []string
	for _, p := range plugins {
		if p.named(class) {
			return nil
		}
		names = append(names, p.names()...)
	}
	hint := ""
	if near := nearest.Name(class, names); near != "" {
		hint = fmt.Sprintf(" (did you mean %s?)", near)
	}
	return fmt.Errorf("%w %s%s; smartlb kafka connect plugins lists them", ErrNoClass, class, hint)
}

// Applied is the result of applying a connector's settings.
type Applied struct {
	Name    string   `json:"name"`
	Result  string   `json:"result"` // created, updated or unchanged
	Changed []string `json:"changed"`
}

// ErrInvalid is wrapped by the error for settings that the class does not accept.
var ErrInvalid = errors.New("settings are not accepted")

// Apply gives a connector exactly these settings. Applying the same settings again changes nothing. They are validated
// first.
func (c *Client) Apply(ctx context.Context, name string, config map[string]string) (Applied, error) {
	out := Applied{Name: name, Changed: []string{}}
	config = maps.Clone(config)
	config["name"] = name
	bad, err := c.Validate(ctx, config)
	if err != nil {
		return out, fmt.Errorf("connector %s: %w", name, err)
	}
	if len(bad) > 0 {
		var errs []error
		for _, b := range bad {
			errs = append(errs, fmt.Errorf("%s: %s", b.Setting, strings.Join(b.Errors, "; ")))
		}
		return out, fmt.Errorf("connector %s: %w: %w", name, ErrInvalid, errors.Join(errs...))
	}
	var now map[string]string
	err = c.do(ctx, http.MethodGet, at("connectors", name, "config"), nil, nil, &now)
	switch {
	case errors.Is(err, ErrNotFound):
		out.Result = "created"
	case err != nil:
		return out, fmt.Errorf("connector %s: %w", name, err)
	default:
		out.Result = "updated"
		keys := maps.Clone(now)
		maps.Copy(keys, config)
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			if a, has := now[k]; a != config[k] || !has {
				out.Changed = append(out.Changed, k)
			} else if _, wanted := config[k]; !wanted {
				out.Changed = append(out.Changed, k)
			}
		}
		if len(out.Changed) == 0 {
			out.Result = "unchanged"
			return out, nil
		}
	}
	if err := c.do(ctx, http.MethodPut, at("connectors", name, "config"), nil, config, nil); err != nil {
		return out, fmt.Errorf("connector %s: %w", name, err)
	}
	return out, nil
}

// Action is an operation on a connector.
type Action string

// Actions.
const (
	Pause         Action = "pause"
	Resume        Action = "resume"
	Stop          Action = "stop"
	Restart       Action = "restart"
	RestartFailed Action = "restart-failed" // only failed parts
	Delete        Action = "delete"
)

// Do starts an action; the worker completes it afterwards.
func (c *Client) Do(ctx context.Context, name string, what Action) error {
	method, path, query := http.MethodPut, at("connectors", name, string(what)), url.Values(nil)
	switch what {
	case Restart, RestartFailed:
		method, path = http.MethodPost, at("connectors", name, "restart")
		query = url.Values{"includeTasks": {"true"}, "onlyFailed": {fmt.Sprint(what == RestartFailed)}}
	case Delete:
		method, path = http.MethodDelete, at("connectors", name)
	}
	if err := c.do(ctx, method, path, query, nil, nil); err != nil {
		return c.named(ctx, name, err)
	}
	return nil
}

// Offset is the offset of a connector in one of its sources, or in a partition that it reads.
type Offset struct {
	Partition json.RawMessage `json:"partition"`
	Offset    json.RawMessage `json:"offset"`
}

// Offsets reads the offsets of a connector.
func (c *Client) Offsets(ctx context.Context, name string) ([]Offset, error) {
	var answer struct {
		Offsets []Offset `json:"offsets"`
	}
	if err := c.do(ctx, http.MethodGet, at("connectors", name, "offsets"), nil, nil, &answer); err != nil {
		return []Offset{}, c.named(ctx, name, err)
	}
	if answer.Offsets == nil {
		answer.Offsets = []Offset{}
	}
	return answer.Offsets, nil
}

// Masked replaces a secret.
const Masked = "********"

// Mask hides the values of settings that look like secrets. References to secrets that are stored elsewhere stay.
func Mask(config map[string]string) map[string]string {
	secret := regexp.MustCompile(`(?i)(password|passwd|secret|token|credential|private[._-]?key|api[._-]?key|jaas\.config|basic\.auth\.user\.info|connection\.(url|uri)$)`)
	out := make(map[string]string, len(config))
	for k, v := range config {
		if v != "" && secret.MatchString(k) && !isReference(v) {
			v = Masked
		}
		out[k] = v
	}
	return out
}
