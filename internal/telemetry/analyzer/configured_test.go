package analyzer

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

func TestConfiguredInstancesAreKnownFromTheLog(t *testing.T) {
	a, err := New(Default(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close(t.Context())
	offset := int64(0)
	publish := func(base, revision, document string) {
		sum := sha256.Sum256([]byte(document))
		v, err := event.ConfigUpdate{
			ChangeID: revision, Timestamp: time.Now().UTC(), Kind: event.KindRevision, Revision: revision, Base: base,
			Document: document, SHA256: hex.EncodeToString(sum[:]),
		}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		a.readConfiguration([]kafka.Record{{Topic: event.TopicConfigUpdates, Offset: offset, Value: v}})
		offset++
	}
	publish("", "1-a", "services:\n  - id: s\n    instances:\n      - {id: i, address: \"10.0.0.1:80\"}\n")
	if !a.configured.Has("s", "i") || a.configured.Has("s", "j") || a.revision != "1-a" {
		t.Errorf("%v of %s", a.configured, a.revision)
	}
	publish("1-a", "2-b", "services: [[[[")
	if !a.configured.Has("s", "i") {
		t.Error("a document that no node takes emptied the configuration")
	}
	publish("2-b", "3-c", "services:\n  - id: s\n    instances:\n      - {id: j, address: \"10.0.0.1:80\"}\n")
	if a.configured.Has("s", "i") || !a.configured.Has("s", "j") || len(a.state.History) != 0 {
		t.Errorf("%v", a.configured)
	}
	publish("3-c", "4-d", "services:\n  - id: s\n    discovery: {file: {path: s.json}, dns: {name: s.test, port: 80}, maxInstances: 70}\n")
	if a.configured.Found["s"] != 140 {
		t.Errorf("%v", a.configured)
	}
}
