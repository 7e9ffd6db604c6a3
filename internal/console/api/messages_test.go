package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/event"
)

func TestMistakesAboutMessages(t *testing.T) {
	const at = "/api/v1/topics/alerts/partitions/0/offsets/"
	for _, c := range []struct {
		what, method, target, body string
		want                       int
	}{
		{"a position that is none", "GET", "/api/v1/topics/t/search?from=yesterday", "", 400},
		{"an expression that is none", "GET", "/api/v1/topics/t/events?where=%28", "", 400},
		{"too many of the last", "GET", "/api/v1/topics/t/events?last=501", "", 400},
		{"an export of nonsense", "GET", "/api/v1/topics/t/export?pick=a", "", 400},
		{"an export that fails at once", "GET", "/api/v1/topics/t/export?pick=0:500", "", 400},
		{"a partition that is none", "GET", "/api/v1/topics/t/partitions/x/offsets/1", "", 400},
		{"an offset that is none", "GET", at + "-1", "", 400},
		{"a message that is not there", "GET", at + "404", "", 404},
		{"a broker that is silent", "GET", at + "503", "", 503},
		{"a part that is too large", "GET", at + "1?bytes=9999999", "", 400},
		{"a raw part that there is not", "GET", at + "1/raw?part=headers", "", 400},
		{"a raw value of a tombstone", "GET", at + "404/raw", "", 404},
		{"nothing to send", "POST", "/api/v1/topics/t/messages", "{}", 400},
		{"redrive from a topic that is none of dead letters", "POST", "/api/v1/topics/alerts/redrive", "{}", 400},
		{"redrive of nonsense", "POST", "/api/v1/topics/t.dlq/redrive", `{"pick":"x"}`, 400},
		{"redrive with a broken query", "POST", "/api/v1/topics/t.dlq/redrive", `{"query":"from=x"}`, 400},
	} {
		d := describe(t)
		status, _, body := call(full(), c.method, c.target, c.body)
		if status != c.want {
			t.Errorf("%s: %d, want %d: %s", c.what, status, c.want, body)
		}
		d.check("/components/schemas/Problem", body)
	}
	for _, target := range []string{"/api/v1/topics/t/search", "/api/v1/topics/t/events", "/api/v1/topics/t/export", at + "1/raw"} {
		if status, _, _ := call(api.Sources{}, "GET", target, ""); status != 404 {
			t.Errorf("%s without Kafka: %d", target, status)
		}
	}
}

// What a message holds is a file, whatever it looks like.
func TestRawIsNeverShownByABrowser(t *testing.T) {
	status, h, body := call(full(), "GET", "/api/v1/topics/a%2Fb%22/partitions/1/offsets/2/raw?part=key", "")
	if status != 200 || string(body) != "<script>true" {
		t.Errorf("%d %s", status, body)
	}
	if h.Get("Content-Type") != "application/octet-stream" || h.Get("Content-Disposition") != `attachment; filename="a_b_-1-2.key"` ||
		!strings.HasPrefix(h.Get("Content-Security-Policy"), "sandbox") || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", h)
	}
}

func TestExportIsWhatConsumePrints(t *testing.T) {
	status, h, body := call(full(), "GET", "/api/v1/topics/alerts/export?pick=0:4,0:2", "")
	want := `{"topic":"alerts","partition":0,"offset":2,"timestamp":"2026-03-01T12:00:00.123456789Z"}
{"topic":"alerts","partition":0,"offset":4,"timestamp":"2026-03-01T12:00:00.123456789Z"}
`
	if status != 200 || string(body) != want || h.Get("Content-Type") != "application/x-ndjson" || h.Get("Content-Disposition") != `attachment; filename="alerts.jsonl"` {
		t.Errorf("%d %v\n%s", status, h, body)
	}
	if _, _, body = call(full(), "GET", "/api/v1/topics/alerts/export", ""); !strings.Contains(string(body), `"key":"<k>"`) {
		t.Errorf("%s", body)
	}
}

// Half a file must not be taken for a whole one.
func TestAnExportThatFailsBreaksOff(t *testing.T) {
	server := httptest.NewServer(api.New(full(), quiet))
	defer server.Close()
	server.Config.ErrorLog = nil
	resp, err := http.Get(server.URL + "/api/v1/topics/alerts/export?pick=0:4,0:500")
	if err == nil {
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
	}
	if err == nil {
		t.Error("the answer looks whole")
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestMistakesOfAFilterHaveTheirPlace(t *testing.T) {
	_, _, body := call(full(), "POST", "/api/v1/filters/check", `{"where":"key == 'a' &&\n valeu.x > 1","json":"a..b"}`)
	var got api.FilterCheck
	if err := json.Unmarshal(body, &got); err != nil || got.Valid || len(got.Mistakes) != 2 {
		t.Fatalf("%s %v", body, err)
	}
	if m := got.Mistakes[0]; m.Term != "json" || m.Column != 2 {
		t.Errorf("%+v", m)
	}
	if m := got.Mistakes[1]; m.Term != "where" || m.Line != 2 || m.Column != 2 {
		t.Errorf("%+v", m)
	}
}

// The audit log says that something was sent, how much, and by its hash what;
// never what it says.
func TestAProducedMessageIsAuditedWithoutItsPayload(t *testing.T) {
	src := full()
	var records []event.AuditLog
	src.Audit = func(a event.AuditLog) { records = append(records, a) }
	value := strings.Repeat("secret", 400_000) // more than other calls take
	body, _ := json.Marshal(map[string]string{"key": "k", "value": value})
	if status, _, answer := call(src, "POST", "/api/v1/topics/alerts/messages", string(body)); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	if len(records) != 1 || records[0].Action != "produce.message" || records[0].Target.ID != "alerts" || !bytes.Contains(records[0].After, []byte("sha256")) || bytes.Contains(records[0].After, []byte("secret")) {
		t.Errorf("%+v", records)
	}
	call(src, "POST", "/api/v1/topics/alerts/messages?dryRun=true", string(body))
	if len(records) != 1 {
		t.Error("a preview is audited")
	}
}
