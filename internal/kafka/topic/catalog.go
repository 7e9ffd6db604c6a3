package topic

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/smartlb/smartlb/internal/base/yamlsafe"
)

// Spec describes one topic of the catalog.
type Spec struct {
	Name        string            `yaml:"name" json:"name"`
	Description string            `yaml:"description,omitempty" json:"description"`
	Owner       string            `yaml:"owner,omitempty" json:"owner"`             // component that writes it
	Schema      string            `yaml:"schema,omitempty" json:"schema,omitempty"` // file name in api/schemas; empty: any bytes
	Key         string            `yaml:"key,omitempty" json:"key"`                 // content of the record key
	Keyed       *bool             `yaml:"keyed,omitempty" json:"keyed,omitempty"`   // false: records need no particular partition
	Partitions  int32             `yaml:"partitions" json:"partitions"`
	Replicas    int16             `yaml:"replicas,omitempty" json:"replicas,omitempty"` // 0: as many as there are brokers, at most 3
	Configs     map[string]string `yaml:"configs,omitempty" json:"configs"`             // where they differ from the broker's defaults
	Support     bool              `yaml:"-" json:"support"`                             // from the second section of the file
}

// Unkeyed reports whether the file says that records may be in any partition.
func (s Spec) Unkeyed() bool { return s.Keyed != nil && !*s.Keyed }

// Catalog holds all topics in order: the eight that users work with, then the support topics.
type Catalog []Spec

// Names lists the topics in their order.
func (c Catalog) Names() []string {
	names := make([]string, len(c))
	for i, s := range c {
		names[i] = s.Name
	}
	return names
}

// Find returns the topic called name, and whether it exists.
func (c Catalog) Find(name string) (Spec, bool) {
	i := slices.IndexFunc(c, func(s Spec) bool { return s.Name == name })
	if i < 0 {
		return Spec{}, false
	}
	return c[i], true
}

// File is the content of a catalog file.
type File struct {
	Cluster string `yaml:"cluster,omitempty"` // the only cluster it may be applied to; empty: any
	Topics  []Spec `yaml:"topics"`
	Support []Spec `yaml:"support,omitempty"`
}

// Catalog returns the topics of both sections.
func (f File) Catalog() Catalog {
	catalog := Catalog(slices.Clone(f.Topics))
	for _, s := range f.Support {
		s.Support = true
		catalog = append(catalog, s)
	}
	return catalog
}

// Parse parses a catalog and reports every mistake at once.
func Parse(doc []byte) (Catalog, error) {
	file, err := ParseFile(doc)
	return file.Catalog(), err
}

// ParseFile parses a catalog file. Values may have units (retention.ms: 7d); they are returned in Kafka's units.
func ParseFile(doc []byte) (File, error) {
	var file File
	if err := yamlsafe.Decode(doc, yamlsafe.Small(), &file); err != nil {
		return File{}, fmt.Errorf("topic catalog: %w", err)
	}
	for _, section := range [][]Spec{file.Topics, file.Support} {
		for _, s := range section {
			for key, value := range s.Configs {
				s.Configs[key] = FromHuman(key, value)
			}
		}
	}
	if err := file.Catalog().validate(); err != nil {
		return File{}, fmt.Errorf("topic catalog: %w", err)
	}
	return file, nil
}

func (c Catalog) validate() error {
	var errs []error
	seen := map[string]bool{}
	for i, s := range c {
		path := fmt.Sprintf("[%d]", i)
		if err := CheckName(s.Name); err != nil {
			errs = append(errs, fmt.Errorf("%s.name: %w", path, err))
		}
		folded := strings.ReplaceAll(s.Name, ".", "_") // Kafka's metrics do not distinguish these names
		if seen[folded] {
			errs = append(errs, fmt.Errorf("%s.name: %q, or one that differs only in . and _, is there twice", path, s.Name))
		}
		seen[folded] = true
		if s.Partitions < 1 {
			errs = append(errs, fmt.Errorf("%s.partitions: %d is not positive", path, s.Partitions))
		}
		if s.Replicas < 0 {
			errs = append(errs, fmt.Errorf("%s.replicas: %d is negative", path, s.Replicas))
		}
		for _, key := range slices.Sorted(maps.Keys(s.Configs)) {
			if err := CheckConfig(key, s.Configs[key]); err != nil {
				errs = append(errs, fmt.Errorf("%s.configs: %w", path, err))
			}
		}
	}
	if len(c) == 0 {
		errs = append(errs, errors.New("no topics"))
	}
	return errors.Join(errs...)
}

// maxName is Kafka's limit for the length of a topic name.
const maxName = 249

// CheckName returns the error that Kafka would return for a name.
func CheckName(name string) error {
	switch {
	case name == "" || name == "." || name == "../..":
		return fmt.Errorf("%q is no topic name", name)
	case len(name) > maxName:
		return fmt.Errorf("%.20q... has %d characters, %d are allowed", name, len(name), maxName)
	case !regexp.MustCompile(`^[a-zA-Z0-9._-]+$`).MatchString(name):
		return fmt.Errorf("%q has characters other than letters, digits, '.', '_' and '-'", name)
	}
	return nil
}
