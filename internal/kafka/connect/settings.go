package connect

import (
	"context"
	"fmt"
	"net/http"
)

// Setting is one setting that a connector's class supports.
type Setting struct {
	Name        string   `json:"name"`
	Type        string   `json:"type"` // STRING, INT, BOOLEAN, LIST, CLASS, PASSWORD ...
	Required    bool     `json:"required"`
	Default     *string  `json:"default"`    // null: no default
	Importance  string   `json:"importance"` // HIGH, MEDIUM or LOW
	Group       string   `json:"group"`
	Title       string   `json:"title"`
	Doc         string   `json:"doc"`
	Visible     bool     `json:"visible"`     // relevant together with the other settings
	Recommended []string `json:"recommended"` // values that the class suggests
	Errors      []string `json:"errors"`      // errors of the value in the request
}

// definition is the worker's description of a setting.
type definition struct {
	Name        string  `json:"name"`
	Type        string  `json:"type"`
	Required    bool    `json:"required"`
	Default     *string `json:"default_value"`
	Importance  string  `json:"importance"`
	Group       *string `json:"group"`
	DisplayName *string `json:"display_name"`
	Doc         string  `json:"documentation"`
}

func (d definition) setting() Setting {
	s := Setting{Name: d.Name, Type: d.Type, Required: d.Required, Default: d.Default, Importance: d.Importance, Doc: d.Doc, Title: d.Name, Visible: true, Recommended: []string{}, Errors: []string{}}
	if d.Group != nil {
		s.Group = *d.Group
	}
	if d.DisplayName != nil {
		s.Title = *d.DisplayName
	}
	return s
}

// Settings lists the settings of a class, in the order of the class.
func (c *Client) Settings(ctx context.Context, class string) ([]Setting, error) {
	if err := c.knows(ctx, class); err != nil {
		return nil, err
	}
	var answer []definition
	if err := c.do(ctx, http.MethodGet, at("connector-plugins", class, "config"), nil, nil, &answer); err != nil {
		return nil, fmt.Errorf("settings of %s: %w", class, err)
	}
	out := make([]Setting, 0, len(answer))
	for _, d := range answer {
		out = append(out, d.setting())
	}
	return out, nil
}

// Check lists every setting that is relevant with config, each with its errors. The class is the value of
// connector.class.
func (c *Client) Check(ctx context.Context, config map[string]string) ([]Setting, error) {
	class := config["connector.class"]
	if err := c.knows(ctx, class); err != nil {
		return nil, err
	}
	var answer struct {
		Configs []struct {
			Definition definition `json:"definition"`
			Value      struct {
				Name        string `json:"name"`
				Recommended []any  `json:"recommended_values"`
				Errors      []string
				Visible     bool `json:"visible"`
			} `json:"value"`
		} `json:"configs"`
	}
	if err := c.do(ctx, http.MethodPut, at("connector-plugins", class, "config", "validate"), nil, config, &answer); err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	out := make([]Setting, 0, len(answer.Configs))
	for _, x := range answer.Configs {
		s := x.Definition.setting()
		if s.Name == "" { // a setting that the class does not define, with its errors
			s.Name, s.Title, s.Type = x.Value.Name, x.Value.Name, "STRING"
		}
		s.Visible = x.Value.Visible
		for _, v := range x.Value.Recommended {
			if v != nil {
				s.Recommended = append(s.Recommended, fmt.Sprint(v))
			}
		}
		s.Errors = append(s.Errors, x.Value.Errors...)
		out = append(out, s)
	}
	return out, nil
}
