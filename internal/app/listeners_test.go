package app

import (
	"context"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/event"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/configlog"
)

func TestOwnAddressesReplaceThoseOfTheConfiguration(t *testing.T) {
	two := []config.Listener{{Name: "web", Address: ":80"}, {Name: "api", Address: ":81"}}
	for _, c := range []struct {
		why     string
		of      []config.Listener
		own     []Listen
		want    []config.Listener
		unknown []string
		err     string
	}{
		{why: "none", of: two, want: two},
		{why: "by name", of: two, own: []Listen{{"api", ":9"}}, want: []config.Listener{{Name: "web", Address: ":80"}, {Name: "api", Address: ":9"}}},
		{why: "the only one", of: two[:1], own: []Listen{{"", ":9"}}, want: []config.Listener{{Name: "web", Address: ":9"}}},
		{why: "where there is none", own: []Listen{{"", ":9"}}, want: []config.Listener{{Name: "web", Address: ":9"}}},
		{why: "an unknown name", of: two[:1], own: []Listen{{"wob", ":9"}}, want: two[:1], unknown: []string{"wob"}},
		{why: "which one?", of: two, own: []Listen{{"", ":9"}}, err: "use --listen NAME=:9"},
	} {
		got, unknown, err := Listeners(c.of, c.own)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v", c.why, err)
			}
			continue
		}
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" || !cmp.Equal(unknown, c.unknown) {
			t.Errorf("%s: %v, unknown %v (-want +got):\n%s", c.why, err, unknown, diff)
		}
	}
	if two[1].Address != ":81" {
		t.Error("the configuration was changed")
	}
}

// `smartlb run --roles proxy --kafka ...` did not start without a file, although
// config-updates had listeners.
func TestANodeWithoutAFileOpensTheListenersOfTheLog(t *testing.T) {
	_, text := instances(t, 1)
	broker := run(t, options(t, event.RoleBroker))
	o := options(t, event.RoleProxy)
	o.Document.Kafka.Brokers = []string{broker.Addr("broker")}
	a := run(t, o)
	if got := a.data.proxy.Listeners(); len(got) != 0 {
		t.Fatalf("open before a configuration came: %v", got)
	}
	if _, err := configlog.Publish(context.Background(), a.kafka, configlog.Change{Document: text, Author: "ann"}, o.Log); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the listener is open", func() bool { return a.Addr("web") != "" })
	if resp, _ := get(t, "http://"+a.Addr("web")+"/users/1"); resp.StatusCode != 200 {
		t.Errorf("the listener of the log answered %d", resp.StatusCode)
	}
}

func TestANodeThatFollowsNoLogNeedsAListener(t *testing.T) {
	o := options(t, event.RoleProxy)
	o.Kafka = false
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("error %v", err)
	}
}
