package topic

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Spec is one topic as it is to be.
type Spec struct {
	Name        string            `yaml:"name" json:"name"`
	Description string            `yaml:"description" json:"description"`
	Owner       string            `yaml:"owner" json:"owner"`                       // who writes it
	Schema      string            `yaml:"schema,omitempty" json:"schema,omitempty"` // file name in api/schemas; empty: any bytes
	Key         string            `yaml:"key" json:"key"`                           // what the record key holds
	Partitions  int32             `yaml:"partitions" json:"partitions"`
	Configs     map[string]string `yaml:"configs" json:"configs"` // where they differ from the broker's defaults
	Support     bool              `yaml:"-" json:"support"`       // of the second section
}

// Catalog is all topics in their order: the eight that users know, then the
// support topics.
type Catalog []Spec

// Names lists the topics in their order.
func (c Catalog) Names() []string {
	names := make([]string, len(c))
	for i, s := range c {
		names[i] = s.Name
	}
	return names
}

// Find returns the topic called name, and whether there is one.
func (c Catalog) Find(name string) (Spec, bool) {
	i := slices.IndexFunc(c, func(s Spec) bool { return s.Name == name })
	if i < 0 {
		return Spec{}, false
	}
	return c[i], true
}

// Parse reads a catalog and reports every mistake at once.
func Parse(doc []byte) (Catalog, error) {
	var file struct {
		Topics  []Spec `yaml:"topics"`
		Support []Spec `yaml:"support"`
	}
	if err := yaml.NewDecoder(bytes.NewReader(doc), yaml.Strict()).Decode(&file); err != nil {
		return nil, fmt.Errorf("topic catalog: %w", err)
	}
	catalog := Catalog(file.Topics)
	for _, s := range file.Support {
		s.Support = true
		catalog = append(catalog, s)
	}
	if err := catalog.validate(); err != nil {
		return nil, fmt.Errorf("topic catalog: %w", err)
	}
	return catalog, nil
}

func (c Catalog) validate() error {
	var errs []error
	seen := map[string]bool{}
	for i, s := range c {
		path := fmt.Sprintf("[%d]", i)
		if err := CheckName(s.Name); err != nil {
			errs = append(errs, fmt.Errorf("%s.name: %w", path, err))
		}
		folded := strings.ReplaceAll(s.Name, ".", "_") // metrics of Kafka cannot tell these apart
		if seen[folded] {
			errs = append(errs, fmt.Errorf("%s.name: %q, or one that differs only in . and _, is there twice", path, s.Name))
		}
		seen[folded] = true
		if s.Partitions < 1 {
			errs = append(errs, fmt.Errorf("%s.partitions: %d is not positive", path, s.Partitions))
		}
		for _, f := range []struct{ name, value string }{{"description", s.Description}, {"owner", s.Owner}, {"key", s.Key}} {
			if f.value == "" {
				errs = append(errs, fmt.Errorf("%s.%s: is missing", path, f.name))
			}
		}
	}
	if len(c) == 0 {
		errs = append(errs, errors.New("no topics"))
	}
	return errors.Join(errs...)
}

// maxName is Kafka's limit of a topic's name.
const maxName = 249

// CheckName says what Kafka would say about a name.
func CheckName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("%q is no topic name", name)
	case len(name) > maxName:
		return fmt.Errorf("%.20q... has %d characters, %d are allowed", name, len(name), maxName)
	case !regexp.MustCompile(`^[a-zA-Z0-9._-]+$`).MatchString(name):
		return fmt.Errorf("%q has characters other than letters, digits, '.', '_' and '-'", name)
	}
	return nil
}
