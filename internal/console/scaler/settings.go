package scaler

import (
	"fmt"
	"slices"
	"strings"

	"github.com/smartlb/smartlb/internal/base/nearest"
	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/telemetry/capacity"
)

// Keys of the metadata of a trigger.
const (
	keyService    = "service"
	keyTarget     = "targetUtilization"
	keyConfidence = "minConfidence"
)

var keys = []string{keyService, keyTarget, keyConfidence}

// settings are the metadata of a trigger.
type settings struct {
	service    string
	target     float64
	confidence capacity.Confidence
}

// parse reads the metadata of a trigger. Keys of KEDA itself, such as scalerAddress, are among them, so only those that
// look like a misspelled key are refused.
func parse(metadata map[string]string) (settings, error) {
	s := settings{service: metadata[keyService], confidence: capacity.Medium}
	for key := range metadata {
		if near := nearest.Name(key, keys); near != "" && !slices.Contains(keys, key) {
			return s, fmt.Errorf("metadata: unknown key %.40q (did you mean %s?)", key, near)
		}
	}
	if s.service == "" {
		return s, fmt.Errorf("metadata: %s is missing: want the id of a service", keyService)
	}
	var err error
	if s.target, err = api.ParseTarget(metadata[keyTarget]); err != nil {
		return s, fmt.Errorf("metadata: %s: %s", keyTarget, strings.TrimPrefix(err.Error(), "target: "))
	}
	if text, given := metadata[keyConfidence]; given {
		level, ok := capacity.ParseConfidence(text)
		if !ok || level == capacity.None {
			return s, fmt.Errorf("metadata: %s: want low, medium or high, got %.20q", keyConfidence, text)
		}
		s.confidence = level
	}
	return s, nil
}
