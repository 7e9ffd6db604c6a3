package configcmd_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/cli/configcmd"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// A file was refused because a node, started a moment before, published its own
// between the look at the log and the change. Another person's change stays.
func TestApplyGoesOverAFirstRevisionOfANodesFileOnly(t *testing.T) {
	const before, wanted = "services: [{id: before, instances: [{id: a, address: \"10.0.0.1:80\"}]}]\n", "services: [{id: wanted, instances: [{id: a, address: \"10.0.0.1:80\"}]}]\n"
	file := filepath.Join(t.TempDir(), "smartlb.yaml")
	if err := os.WriteFile(file, []byte(wanted), 0o600); err != nil {
		t.Fatal(err)
	}
	for author, code := range map[string]int{"file:smartlb.yaml": cli.ExitOK, "ada": cli.ExitFailed} {
		k := kafkatest.New(t, event.TopicConfigUpdates)
		cfg := kafka.Default()
		cfg.Brokers = []string{k.Addr()}
		var seen atomic.Bool
		fake := k.Fake()
		fake.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			fake.KeepControl()
			if seen.CompareAndSwap(false, true) {
				fake.SleepControl(func() {
					if _, err := configlog.Publish(t.Context(), cfg, configlog.Change{Document: []byte(before), Author: author}, slog.New(slog.DiscardHandler)); err != nil {
						t.Errorf("%s: %v", author, err)
					}
				})
			}
			return nil, nil, false
		})
		var out, words bytes.Buffer
		env := &cli.Env{In: strings.NewReader(""), Out: &out, Err: &words, Getenv: func(string) string { return "" }}
		if got := cli.Execute(t.Context(), env, []string{"config", "apply", file, "-b", k.Addr()}, configcmd.Commands); got != code {
			t.Errorf("%s: code %d, want %d: %s", author, got, code, words.String())
		}
		s, err := configlog.Load(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if won := s.Document == wanted; won != (code == cli.ExitOK) {
			t.Errorf("%s: the current document is %q", author, s.Document)
		}
	}
}
