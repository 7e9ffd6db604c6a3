package connect

import (
	"errors"
	"fmt"

	"github.com/smartlb/smartlb/internal/base/yamlsafe"
)

// Spec is a connector as a file describes it.
type Spec struct {
	Name   string
	Config map[string]string
}

// ParseFile parses connectors from JSON or YAML: {name, config} in the worker's format, settings with a name among
// them, or several of either, as a list or as documents. Settings that are numbers or booleans become text.
func ParseFile(doc []byte) ([]Spec, error) {
	var out []Spec
	var errs []error
	docs, err := yamlsafe.Documents(doc, yamlsafe.Small())
	if err != nil {
		return nil, fmt.Errorf("connector file: %w", err)
	}
	for _, v := range docs {
		list, many := v.([]any)
		if !many {
			list = []any{v}
		}
		for _, x := range list {
			s, err := parseOne(x)
			if err != nil {
				errs = append(errs, fmt.Errorf("connector file: [%d]: %w", len(out)+len(errs), err))
				continue
			}
			out = append(out, s)
		}
	}
	if len(out)+len(errs) == 0 {
		errs = append(errs, errors.New("connector file: there is nothing in it"))
	}
	seen := map[string]bool{}
	for _, s := range out {
		if seen[s.Name] {
			errs = append(errs, fmt.Errorf("connector file: %s is there twice", s.Name))
		}
		seen[s.Name] = true
	}
	return out, errors.Join(errs...)
}

func parseOne(v any) (Spec, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return Spec{}, errors.New("is no map of settings")
	}
	name, _ := m["name"].(string)
	settings := m
	if inner, nested := m["config"].(map[string]any); nested {
		settings = inner
		for k := range m {
			if k != "name" && k != "config" && k != "initial_state" {
				return Spec{}, fmt.Errorf("unknown key %q beside config", k)
			}
		}
		if own, ok := inner["name"].(string); ok {
			if name != "" && own != name {
				return Spec{}, fmt.Errorf("it is called %q, and %q in its config", name, own)
			}
			name = own
		}
	}
	if name == "" {
		return Spec{}, errors.New("name is missing")
	}
	out := Spec{Name: name, Config: map[string]string{}}
	for k, v := range settings {
		switch v := v.(type) {
		case nil:
			continue
		case map[string]any, []any:
			return Spec{}, fmt.Errorf("%s: %s is no plain value", name, k)
		default:
			out.Config[k] = fmt.Sprint(v)
		}
	}
	out.Config["name"] = name
	return out, nil
}
