package receiver

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/event"
)

var testLinks = links{console: "https://console.example.com/", runbook: "https://docs.example.com/alerts.md"}

var fired = readable.Time(begin.Add(3 * time.Second))

func ended(a event.Alert, at time.Time) event.Alert {
	a.Status, a.EndsAt = event.AlertResolved, at
	return a
}

func TestTheWebhookIsThatOfAlertmanager(t *testing.T) {
	got, err := json.MarshalIndent(hookOf(messageOf(alertOf("i1"), ended(alertOf("i2"), begin.Add(time.Minute))), "ops", testLinks), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "version": "4",
  "groupKey": "{}:{alertname=\"instance-down\", service=\"shop\"}",
  "truncatedAlerts": 0,
  "status": "firing",
  "receiver": "ops",
  "groupLabels": {
    "alertname": "instance-down",
    "service": "shop"
  },
  "commonLabels": {
    "alertname": "instance-down",
    "service": "shop",
    "severity": "critical"
  },
  "commonAnnotations": {
    "description": "3 of 3 reporters of its health say UNHEALTHY.",
    "runbook_url": "https://docs.example.com/alerts.md#instance-down"
  },
  "externalURL": "https://console.example.com/",
  "alerts": [
    {
      "status": "firing",
      "labels": {
        "alertname": "instance-down",
        "instance": "i1",
        "service": "shop",
        "severity": "critical"
      },
      "annotations": {
        "description": "3 of 3 reporters of its health say UNHEALTHY.",
        "runbook_url": "https://docs.example.com/alerts.md#instance-down",
        "summary": "shop/i1 is down"
      },
      "startsAt": "2026-11-30T03:00:03Z",
      "endsAt": "0001-01-01T00:00:00Z",
      "generatorURL": "https://console.example.com/alerts?q=instance-down+instance%3Di1+service%3Dshop",
      "fingerprint": "00112233445566i1"
    },
    {
      "status": "resolved",
      "labels": {
        "alertname": "instance-down",
        "instance": "i2",
        "service": "shop",
        "severity": "critical"
      },
      "annotations": {
        "description": "3 of 3 reporters of its health say UNHEALTHY.",
        "runbook_url": "https://docs.example.com/alerts.md#instance-down",
        "summary": "shop/i2 is down"
      },
      "startsAt": "2026-11-30T03:00:03Z",
      "endsAt": "2026-11-30T03:01:00Z",
      "generatorURL": "https://console.example.com/alerts?q=instance-down+instance%3Di2+service%3Dshop",
      "fingerprint": "00112233445566i2"
    }
  ]
}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

// huge returns alerts with the longest texts that readers accept, full of what payloads must not contain as it is.
func huge(n int) []event.Alert {
	var out []event.Alert
	for i := range n {
		a := alertOf(fmt.Sprint("i", i))
		a.RuleID = "<!channel>" + strings.Repeat("é", 500)
		a.Annotations.Summary = "*bold* <https://evil.example.com|click> & <!here>\r\nBcc: x@evil.example.com\x1b[2J" + strings.Repeat("ü", 500)
		a.Annotations.Description = strings.Repeat("<&>", 1500)
		a.Labels["n\xff\r\nX: y"] = strings.Repeat("v", 8000)
		out = append(out, a)
	}
	return out
}

func TestPayloadsAreBounded(t *testing.T) {
	m := messageOf(huge(10_000)...)
	m.Labels = map[string]string{"alertname": m.Alerts[0].RuleID, "x": strings.Repeat("v", 8000)}
	hook := hookOf(m, "ops", testLinks)
	raw, err := encode(hook)
	if err != nil || len(raw) > 2<<20 || len(hook.Alerts) != maxListed || hook.TruncatedAlerts != len(m.Alerts)-maxListed {
		t.Errorf("a webhook of %d bytes, %d alerts and %d more: %v", len(raw), len(hook.Alerts), hook.TruncatedAlerts, err)
	}
	chat := slackOf(m, testLinks)
	a := chat.Attachments[0]
	if raw, err := json.Marshal(chat); err != nil || len(raw) > 16<<10 || len(chat.Attachments) != 1 || len(a.Title) > slackTitle || len(a.Text) > slackText {
		t.Errorf("%d bytes, title %d, text %d: %v", len(raw), len(a.Title), len(a.Text), err)
	}
	if !strings.Contains(a.Text, " more") {
		t.Errorf("no count of the others: %s", a.Text)
	}
	for _, text := range []string{a.Title, a.Text, a.Fallback} {
		if strings.Contains(text, "<!") || strings.Contains(text, "<https://evil") || !utf8.ValidString(text) {
			t.Errorf("markup of a stranger: %q", text)
		}
	}
	mail := body(m, testLinks)
	if len(mail) > 1<<20 || !strings.Contains(mail, "... and 9900 more") || strings.ContainsAny(mail, "\x1b\r") || !utf8.ValidString(mail) {
		t.Errorf("a mail of %d bytes: %.300q", len(mail), mail)
	}
	if s := subject(m); len(s) > 200 || strings.ContainsAny(s, "\r\n\x1b") || !utf8.ValidString(s) {
		t.Errorf("subject %q", s)
	}
}

func TestTheSlackMessage(t *testing.T) {
	got := slackOf(messageOf(alertOf("i1"), ended(alertOf("i2"), begin.Add(time.Minute))), testLinks).Attachments[0]
	want := slackAttachment{
		Color: "danger", Title: "[FIRING:1, RESOLVED:1] instance-down service=shop", Fallback: "[FIRING:1, RESOLVED:1] instance-down service=shop",
		TitleLink: "https://console.example.com/alerts", Markdown: []string{"text"},
		Text: ":red_circle: *shop/i1 is down* (critical, fires since " + fired + ")\n" +
			"3 of 3 reporters of its health say UNHEALTHY.\n" +
			"<https://docs.example.com/alerts.md#instance-down|runbook>\n" +
			":white_check_mark: *shop/i2 is down* (critical, fired from " + fired + " until " + readable.Time(begin.Add(time.Minute)) + ")",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	warning := alertOf("i1")
	warning.Severity = event.SeverityWarning
	if c := slackOf(messageOf(warning, ended(alertOf("i2"), begin)), testLinks).Attachments[0].Color; c != "warning" {
		t.Error(c)
	}
	if c := slackOf(messageOf(ended(alertOf("i2"), begin)), testLinks).Attachments[0].Color; c != "good" {
		t.Error(c)
	}
}

func TestSubjects(t *testing.T) {
	others := messageOf(alertOf("i1"), alertOf("i2"))
	others.Labels = nil
	for want, m := range map[string]struct{ got string }{
		"[FIRING:1] critical instance-down: shop/i1 is down":   {subject(messageOf(alertOf("i1")))},
		"[RESOLVED:1] critical instance-down: shop/i1 is down": {subject(messageOf(ended(alertOf("i1"), begin)))},
		"[FIRING:2] instance-down service=shop":                {subject(messageOf(alertOf("i1"), alertOf("i2")))},
		"[FIRING:2] shop/i1 is down, and 1 more":               {subject(others)},
	} {
		if m.got != want {
			t.Errorf("got %s, want %s", m.got, want)
		}
	}
}

// Prometheus' rules of names: https://prometheus.io/docs/concepts/data_model/.
func TestLabelsForAlertmanagerAreValid(t *testing.T) {
	valid := regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	labels := map[string]string{
		"service": "shop", "a.b": "1", "a-b": "2", "1st": "x", "": "empty name", "__name__": "reserved", "empty": "", "ümlaut": "é", "bad": "a\xff",
		"long": strings.Repeat("v", 10_000), strings.Repeat("n", 1000): "x", "alertname": "instance-down",
	}
	got := prometheusLabels(labels)
	for name, value := range got {
		if !valid.MatchString(name) || strings.HasPrefix(name, "__") || value == "" || !utf8.ValidString(value) || len(value) > maxValue {
			t.Errorf("%q=%.50q", name, value)
		}
	}
	if got["alertname"] != "instance-down" || got["service"] != "shop" || got["a_b"] != "2" || got["_1st"] != "x" || got["label_name__"] != "reserved" {
		t.Errorf("%v", got)
	}
	if _, ok := got["empty"]; ok {
		t.Error("an empty value")
	}
	if again := prometheusLabels(labels); !slices.Equal(sortedPairs(again), sortedPairs(got)) {
		t.Error("another result for the same labels")
	}
}

func sortedPairs(m map[string]string) (out []string) {
	for k, v := range m {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return out
}

func TestTheAlertForAlertmanager(t *testing.T) {
	am := alertmanager{links: testLinks}
	m := messageOf(alertOf("i1"))
	firing, resolved := am.postable(m.Alerts[0], m.At), am.postable(ended(m.Alerts[0], begin.Add(30*time.Second)), m.At)
	if !firing.StartsAt.Equal(begin.Add(3*time.Second)) || !firing.EndsAt.Equal(m.At.Add(4*time.Minute)) || !resolved.EndsAt.Equal(begin.Add(30*time.Second)) {
		t.Errorf("%+v, %+v", firing, resolved)
	}
	if firing.Annotations["runbook_url"] != "https://docs.example.com/alerts.md#instance-down" {
		t.Errorf("%v", firing.Annotations)
	}
	stranger := alertOf("i1")
	stranger.RuleID = "x\"><script>"
	if a := annotations(stranger, testLinks); a["runbook_url"] != "" {
		t.Errorf("a runbook of a rule that does not exist: %v", a)
	}
}
