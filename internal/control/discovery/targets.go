package discovery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/smartlb/smartlb/internal/base/yamlsafe"
	"github.com/smartlb/smartlb/internal/control/config"
)

// MaxAnswer is the size limit of an answer in bytes. 10,000 targets with 20 labels each fit.
const MaxAnswer = 16 << 20

// group is an entry of a list in the format of Prometheus (file_sd_config, http_sd_config).
type group struct {
	Targets []string          `json:"targets" yaml:"targets"`
	Labels  map[string]string `json:"labels" yaml:"labels"`
}

// Labels with a meaning. All others become tags, except those that begin with reservedLabel.
const (
	labelInstance = "instance" // id of the instance
	labelWeight   = "weight"
	labelBackup   = "backup"
	reservedLabel = "__" // Prometheus' own
)

// Bounds of labels.
const (
	maxLabels     = 32
	maxLabelValue = 256 // bytes
)

var labelPattern = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,127}$`)

// ParseJSON reads a list of at most most targets in JSON. The error names the entry.
func ParseJSON(src []byte, most int) ([]config.Instance, error) {
	if len(src) > MaxAnswer {
		return nil, errTooLarge
	}
	d := json.NewDecoder(bytes.NewReader(src))
	d.DisallowUnknownFields()
	var groups []group
	if err := d.Decode(&groups); err != nil {
		return nil, jsonError(src, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("line %d: there is something after the list", lineOf(src, d.InputOffset()))
	}
	if groups == nil {
		return nil, errors.New("want a list of groups, got null")
	}
	return instances(groups, most)
}

var (
	errTooLarge = fmt.Errorf("larger than %d MiB", MaxAnswer>>20)
	errEmpty    = errors.New("empty: want a list of groups, [] for none")
)

// jsonError gives an error of the decoder the line where it is.
func jsonError(src []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("line %d: %w", lineOf(src, syntax.Offset), err)
	case errors.As(err, &kind):
		where := kind.Field
		if where == "" {
			where = "the list"
		}
		return fmt.Errorf("line %d: %s: want a list of groups like [{\"targets\": [\"10.0.0.1:8080\"], \"labels\": {}}], got %s", lineOf(src, kind.Offset), where, kind.Value)
	case errors.Is(err, io.EOF):
		return errEmpty
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the list ends too early")
	}
	return fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "json: "))
}

func lineOf(src []byte, offset int64) int {
	return 1 + bytes.Count(src[:min(int(offset), len(src))], []byte("\n"))
}

// ParseYAML reads a list of at most most targets in YAML. The error names the line or the entry.
func ParseYAML(src []byte, most int) ([]config.Instance, error) {
	if len(src) > MaxAnswer {
		return nil, errTooLarge
	}
	var groups []group
	if len(bytes.TrimSpace(src)) == 0 {
		return nil, errEmpty
	}
	if err := yamlsafe.Decode(src, yamlsafe.Limits{Bytes: MaxAnswer, Tokens: 1_250_000, Documents: 1}, &groups); err != nil {
		return nil, err
	}
	if groups == nil {
		return nil, errEmpty
	}
	return instances(groups, most)
}

// instances converts groups. Errors count groups and targets from 1.
func instances(groups []group, most int) ([]config.Instance, error) {
	n := 0
	for _, g := range groups {
		n += len(g.Targets)
	}
	if n > most {
		return nil, fmt.Errorf("%d targets are more than maxInstances, which is %d", n, most)
	}
	out := make([]config.Instance, 0, n)
	for i, g := range groups {
		common, err := g.instance()
		if err != nil {
			return nil, fmt.Errorf("group %d: %w", i+1, err)
		}
		for j, target := range g.Targets {
			in := common
			in.Address = target
			if in.ID == "" {
				in.ID = withoutBrackets.Replace(target)
			}
			if err := in.Check(); err != nil {
				return nil, fmt.Errorf("group %d, target %d (%.80q): %w", i+1, j+1, target, err)
			}
			out = append(out, in)
		}
	}
	return out, nil
}

// tagText reports whether a text may be the name or the value of a tag.
// withoutBrackets removes the brackets of an IPv6 address: an id begins with a letter or digit.
var withoutBrackets = strings.NewReplacer("[", "", "]", "")

func tagText(s string) bool {
	return len(s) <= maxLabelValue && !strings.ContainsFunc(s, unicode.IsControl)
}

// instance returns what the labels of the group say about each of its targets.
func (g group) instance() (config.Instance, error) {
	in := config.Instance{Weight: 1}
	if len(g.Labels) > maxLabels {
		return in, fmt.Errorf("%d labels are more than %d", len(g.Labels), maxLabels)
	}
	for _, name := range slices.Sorted(maps.Keys(g.Labels)) {
		value := g.Labels[name]
		var err error
		switch {
		case !labelPattern.MatchString(name):
			err = errors.New("want a name of letters, digits and underscores, not beginning with a digit")
		case !tagText(value):
			err = fmt.Errorf("want at most %d bytes without control characters", maxLabelValue)
		case strings.HasPrefix(name, reservedLabel):
		case name == labelInstance:
			if in.ID = value; len(g.Targets) > 1 {
				err = fmt.Errorf("names one instance, and the group has %d targets: give each a group of its own", len(g.Targets))
			}
		case name == labelWeight:
			if in.Weight, err = strconv.ParseFloat(value, 64); err != nil {
				err = fmt.Errorf("want a number from 0.01 to 1000, got %q", value)
			}
		case name == labelBackup:
			if in.Backup, err = strconv.ParseBool(value); err != nil {
				err = fmt.Errorf("want true or false, got %q", value)
			}
		default:
			if in.Tags == nil {
				in.Tags = map[string]string{}
			}
			in.Tags[name] = value
		}
		if err != nil {
			return in, fmt.Errorf("label %.80q: %w", name, err)
		}
	}
	return in, nil
}
