package e2e

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/smartlb/smartlb/internal/test/alertmanagertest"
	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/internal/test/mailtest"
)

// sink stores the bodies that are posted to it.
type sink struct {
	*httptest.Server
	mu  sync.Mutex
	got []string
}

func newSink(t *testing.T) *sink {
	s := &sink{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.got = append(s.got, string(body))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *sink) bodies() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// hooks returns "status instance" of the alerts in webhooks about a rule.
func (s *sink) hooks(t *testing.T, about string) (out []string) {
	t.Helper()
	for _, body := range s.bodies() {
		var m struct {
			Alerts []struct {
				Status string
				Labels map[string]string
			}
		}
		if err := json.Unmarshal([]byte(body), &m); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		for _, a := range m.Alerts {
			if a.Labels["alertname"] == about {
				out = append(out, a.Status+" "+a.Labels["instance"])
			}
		}
	}
	return out
}

// switched is an instance whose health checks fail while the switch is on.
type switched struct {
	*httptest.Server
	ill atomic.Bool
}

func newSwitched(t *testing.T) *switched {
	s := &switched{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if s.ill.Load() {
			w.WriteHeader(503)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func withReceivers(t *testing.T, ins []*switched, alerting string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("listeners: [{name: web, address: '127.0.0.1:0'}]\nroutes: [{name: all, service: shop}]\nservices:\n  - id: shop\n    healthCheck: {interval: 200ms, timeout: 200ms, unhealthyThreshold: 1, healthyThreshold: 1}\n    instances:\n")
	for i, in := range ins {
		fmt.Fprintf(&b, "      - {id: i%d, address: %q}\n", i+1, in.Listener.Addr().String())
	}
	path := filepath.Join(t.TempDir(), "smartlb.yaml")
	if err := os.WriteFile(path, []byte(b.String()+alerting), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// senderOf returns which of two nodes sends alerts: 0 or 1; -1 if none does.
func senderOf(t *testing.T, admins ...string) int {
	t.Helper()
	for i, admin := range admins {
		var r struct{ Sends bool }
		if err := getJSON(t, "http://"+admin+"/api/v1/alerts/receivers", &r); err == nil && r.Sends {
			return i
		}
	}
	return -1
}

func TestAlertsReachEveryKindOfReceiver(t *testing.T) {
	t.Parallel()
	hook, chat, fromAM := newSink(t), newSink(t), newSink(t)
	am := alertmanagertest.New(t, fromAM.URL)
	ca := certtest.New(t, "mail")
	mail := mailtest.New(t, mailtest.Options{
		TLS:  &tls.Config{Certificates: []tls.Certificate{ca.Issue(certtest.Options{}, "127.0.0.1")}, MinVersion: tls.VersionTLS12},
		User: "smartlb", Password: "secret-of-mail",
	})
	dir := t.TempDir()
	secret := func(name, value string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ins := []*switched{newSwitched(t), newSwitched(t), newSwitched(t), newSwitched(t)}
	file := withReceivers(t, ins, fmt.Sprintf(`alerting:
  groupBy: [alertname, service, instance]
  groupWait: 0s
  groupInterval: 1s
  consoleUrl: https://console.example.com
  receivers:
    - {name: am, type: alertmanager, url: %q}
    - {name: hook, type: webhook, url: %q}
    - {name: chat, type: slack, urlSecret: "${file:%s}"}
    - {name: mail, type: smtp, address: %q, user: smartlb, password: "${file:%s}", tls: {ca: %q}, from: smartlb@example.com, to: [ops@example.com]}
`, am.URL, hook.URL, secret("chat", chat.URL+"/services/SECRETPATH"), mail.Addr, secret("password", "secret-of-mail"), secret("ca.pem", string(ca.PEM()))))
	b := broker(t, t.TempDir(), "127.0.0.1:0")
	n := node(t, b.Address("broker"), file, t.TempDir())
	admin := n.Address("admin")
	eventually(t, "the node sends alerts", func() bool { return senderOf(t, admin) == 0 })

	for _, name := range []string{"am", "hook", "chat", "mail"} {
		if out, errs, code := smartlb(t, "alerts", "test", name, "--admin", admin); code != 0 || out != "receiver "+name+" took the test message\n" {
			t.Errorf("alerts test %s: %d, %s%s", name, code, out, errs)
		}
	}
	if _, errs, code := smartlb(t, "alerts", "test", "none", "--admin", admin); code == 0 || !strings.Contains(errs, "there is no receiver none") {
		t.Errorf("%d, %s", code, errs)
	}
	if !slices.ContainsFunc(am.Active(), func(a alertmanagertest.Alert) bool { return a.Labels["alertname"] == "smartlb-test" }) {
		t.Errorf("the Alertmanager has %+v", am.Active())
	}

	down := func(a alertmanagertest.Alert) bool {
		return a.Labels["alertname"] == "instance-down" && a.Labels["instance"] == "i1" && a.Labels["severity"] == "critical"
	}
	ins[0].ill.Store(true)
	eventually(t, "the Alertmanager has the alert", func() bool { return slices.ContainsFunc(am.Active(), down) })
	eventually(t, "the Alertmanager sends it on", func() bool { return slices.Contains(fromAM.hooks(t, "instance-down"), "firing i1") })
	eventually(t, "the webhook has it", func() bool { return slices.Contains(hook.hooks(t, "instance-down"), "firing i1") })
	eventually(t, "the chat has it", func() bool {
		return slices.ContainsFunc(chat.bodies(), func(s string) bool { return strings.Contains(s, "shop/i1 is down") })
	})
	eventually(t, "the mail arrived, encrypted", func() bool {
		return slices.ContainsFunc(mail.Mails(), func(m mailtest.Mail) bool {
			text := strings.ReplaceAll(m.Raw, "=\r\n", "") // quoted-printable
			return m.Encrypted && strings.Contains(text, "shop/i1 is down") && strings.Contains(text, "alerts.md#instance-down")
		})
	})
	ins[0].ill.Store(false)
	eventually(t, "the Alertmanager has no such alert", func() bool { return !slices.ContainsFunc(am.Active(), down) })
	eventually(t, "the webhook has the end", func() bool { return slices.Contains(hook.hooks(t, "instance-down"), "resolved i1") })

	out, errs, code := smartlb(t, "alerts", "receivers", "--admin", admin)
	if code != 0 || !strings.Contains(out, "sends alerts") || strings.Count(out, "delivering") != 4 {
		t.Errorf("%d, %s%s", code, out, errs)
	}
	metrics := bodyOf(t, "http://"+admin+"/metrics")
	for _, want := range []string{"smartlb_alert_sender 1", `smartlb_alert_receiver_failing{receiver="mail"} 0`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in /metrics", want)
		}
	}
	api := bodyOf(t, "http://"+admin+"/api/v1/alerts/receivers")
	for where, all := range map[string]string{"log": strings.Join(n.Log(), "\n"), "API": api, "command": out, "metrics": metrics} {
		if strings.Contains(all, "SECRETPATH") || strings.Contains(all, "secret-of-mail") {
			t.Errorf("a secret in %s", where)
		}
	}
}

// bodyOf returns the body at a URL.
func bodyOf(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestAnotherNodeSendsAlertsWhenTheSenderIsKilled(t *testing.T) {
	t.Parallel()
	hook := newSink(t)
	ins := []*switched{newSwitched(t), newSwitched(t), newSwitched(t), newSwitched(t), newSwitched(t)}
	file := withReceivers(t, ins, fmt.Sprintf(`alerting:
  groupBy: [alertname, service, instance]
  groupWait: 0s
  groupInterval: 1s
  receivers: [{name: hook, type: webhook, url: %q}]
`, hook.URL))
	b := broker(t, t.TempDir(), "127.0.0.1:0")
	all := []*process{node(t, b.Address("broker"), file, t.TempDir()), node(t, b.Address("broker"), file, t.TempDir())}
	admins := []string{all[0].Address("admin"), all[1].Address("admin")}
	eventually(t, "both nodes are members", func() bool {
		var g struct {
			State   string
			Members int
		}
		err := getJSON(t, "http://"+admins[0]+"/api/v1/groups/smartlb-notifier", &g)
		return err == nil && g.State == "Stable" && g.Members == 2
	})
	sender := -1
	eventually(t, "one node sends", func() bool { sender = senderOf(t, admins...); return sender >= 0 })

	ins[0].ill.Store(true)
	ins[1].ill.Store(true)
	down := func() []string { return hook.hooks(t, "instance-down") }
	eventually(t, "two messages", func() bool { return len(down()) >= 2 })
	other := 1 - sender
	eventually(t, "the node that waits knows the sender", func() bool { // by its status
		out, _, code := smartlb(t, "alerts", "receivers", "--admin", admins[other])
		return code == 0 && strings.Contains(out, "does not send alerts; sender: node-")
	})
	if _, errs, code := smartlb(t, "alerts", "silence", "--label", "instance=i3", "--reason", "known", "--admin", admins[other]); code != 0 {
		t.Fatal(errs)
	}
	all[sender].stop(syscallKill)
	ins[2].ill.Store(true) // silenced
	ins[3].ill.Store(true) // while no node sends
	ins[1].ill.Store(false)
	eventually(t, "the other node sends", func() bool { return senderOf(t, admins[other]) == 0 })
	eventually(t, "what happened in between arrived", func() bool {
		return slices.Contains(down(), "firing i4") && slices.Contains(down(), "resolved i2")
	})
	ins[0].ill.Store(false)
	eventually(t, "the end of what the dead node sent", func() bool { return slices.Contains(down(), "resolved i1") })
	got := down()
	if len(got) > 5+2 {
		t.Errorf("more than the messages before the kill came twice: %q", got)
	}
	slices.Sort(got)
	got = slices.Compact(got) // the kill may have come before the commit of a delivery
	if want := []string{"firing i1", "firing i2", "firing i4", "resolved i1", "resolved i2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
