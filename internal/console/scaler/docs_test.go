package scaler

import (
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/smartlb/smartlb/internal/telemetry/capacity"
)

func TestTheExampleOfTheDocsIsAccepted(t *testing.T) {
	page, err := os.ReadFile("../../../docs/capacity.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "kind: ScaledObject\n")
	text, _, _ = strings.Cut(text, "```")
	var object struct {
		Spec struct {
			Triggers []struct {
				Type     string
				Metadata map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(text), &object); err != nil || len(object.Spec.Triggers) != 1 || object.Spec.Triggers[0].Type != "external" {
		t.Fatalf("%v: %+v", err, object)
	}
	if got, err := parse(object.Spec.Triggers[0].Metadata); err != nil || got != (settings{service: "shop", target: .6, confidence: capacity.Medium}) {
		t.Errorf("got %+v, %v", got, err)
	}
}
