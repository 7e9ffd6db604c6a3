package demo

import (
	"strings"
	"testing"
)

func TestAPolicyIsChangedInOnePlace(t *testing.T) {
	fleet := Fleet(0)
	document := Traffic(fleet, ":8080")
	got, err := WithPolicy(document, "order-service", "maglev")
	if err != nil {
		t.Fatal(err)
	}
	if !IsTraffic(got) || strings.Count(string(got), "policy: maglev") != 1 || strings.Count(string(got), "policy: adaptive") != len(fleet)-1 {
		t.Errorf("%s", got)
	}
	back, err := WithPolicy(got, "order-service", "adaptive")
	if err != nil || string(back) != string(document) {
		t.Errorf("and back: %v\n%s", err, back)
	}
	if _, err := WithPolicy(document, "nobody", "maglev"); err == nil {
		t.Error("a service that is not there")
	}
	if _, err := WithPolicy([]byte("services: []"), "order-service", "maglev"); err == nil {
		t.Error("somebody else's document")
	}
}
