package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAlertingHasDefaults(t *testing.T) {
	d, err := Parse([]byte("alerting: {receivers: [{name: a, type: webhook, url: 'http://h/'}, {name: b, type: webhook, url: 'http://h/', sendResolved: false, timeout: 3s, minSeverity: warning}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultAlerting()
	want.Receivers = []Receiver{
		{Name: "a", Type: "webhook", URL: "http://h/", Timeout: 10 * time.Second, MinSeverity: "info", SendResolved: true, Encryption: "starttls"},
		{Name: "b", Type: "webhook", URL: "http://h/", Timeout: 3 * time.Second, MinSeverity: "warning", Encryption: "starttls"},
	}
	if diff := cmp.Diff(want, d.Alerting); diff != "" {
		t.Error(diff)
	}
	if d, err = Parse([]byte("alerting: {groupBy: [], groupWait: 0s}\n")); err != nil || len(d.Alerting.GroupBy) != 0 || d.Alerting.GroupWait != 0 {
		t.Errorf("%+v, %v", d.Alerting, err)
	}
}

func TestReceiversThatAreTaken(t *testing.T) {
	for _, r := range []string{
		"type: alertmanager, url: 'https://am.example.com/prefix'",
		"type: alertmanager, url: 'https://am.example.com', user: ann, password: '${env:P}', tls: {ca: /ca.pem, cert: /c.pem, key: /k.pem, serverName: am}",
		"type: webhook, url: 'http://127.0.0.1:9000/hook?x=1', bearerToken: '${file:/run/token}'",
		"type: webhook, urlSecret: '${credential:hook}'",
		"type: slack, urlSecret: '${env:SLACK}', minSeverity: critical, sendResolved: false",
		"type: smtp, address: 'mail:587', from: a@example.com, to: [b@example.com, 'Ann <c@example.com>']",
		"type: smtp, address: 'mail:25', encryption: none, from: a@example.com, to: [b@example.com]",
		"type: smtp, address: 'mail:465', encryption: tls, tls: {insecure: true}, user: a, password: '${env:P}', from: 'smartlb <a@example.com>', to: [b@example.com]",
	} {
		if _, err := Parse([]byte("alerting: {receivers: [{name: r, " + r + "}]}\n")); err != nil {
			t.Errorf("%s: %v", r, err)
		}
	}
}

func TestEachBadValueOfAlertingIsAMistake(t *testing.T) {
	hook, mail := "type: webhook, url: 'http://h/', ", "type: smtp, address: 'mail:587', from: a@example.com, to: [b@example.com], "
	many := strings.Repeat("'b@example.com', ", 51)
	for _, row := range []struct{ receiver, path, want string }{
		{"name: '', " + hook, "name", "missing"},
		{"name: 'a b', " + hook, "name", "1 to 128"},
		{"name: r", "type", "missing"},
		{"name: r, type: pager", "type", "want one of alertmanager, webhook, slack, smtp"},
		{"name: r, type: webhook", "url", "missing"},
		{"name: r, type: webhook, url: 'h:80'", "url", "want an address like"},
		{"name: r, type: webhook, url: 'ftp://h'", "url", "want an address like"},
		{"name: r, type: webhook, url: 'http://'", "url", "want an address like"},
		{"name: r, type: webhook, url: 'http://ann:SECRET@h/'", "url", "use the keys user and password"},
		{"name: r, type: webhook, url: 'http://h/#x'", "url", "must not contain #"},
		{"name: r, type: webhook, url: 'http://h/" + strings.Repeat("x", 3000) + "'", "url", "longer than 2048"},
		{"name: r, type: webhook, url: 'http://h/', urlSecret: '${env:U}'", "urlSecret", "exclude each other"},
		{"name: r, type: webhook, urlSecret: 'https://h/SECRET'", "urlSecret", "not written here but named"},
		{"name: r, type: slack", "urlSecret", "missing"},
		{"name: r, type: slack, url: 'https://hooks.slack.com/SECRET'", "url", "is a secret: use urlSecret"},
		{"name: r, " + hook + "user: ann", "user", "both, or neither"},
		{"name: r, " + hook + "password: '${env:P}'", "user", "both, or neither"},
		{"name: r, " + hook + "password: SECRET, user: a", "password", "not written here but named"},
		{"name: r, " + hook + "bearerToken: SECRET", "bearerToken", "not written here but named"},
		{"name: r, " + hook + "user: 'a:b', password: '${env:P}'", "user", "no colon"},
		{"name: r, " + hook + "user: a, password: '${env:P}', bearerToken: '${env:T}'", "bearerToken", "exclude each other"},
		{"name: r, " + hook + "bearerToken: '${env:T}'", "url", "plain text"},
		{"name: r, " + hook + "tls: {ca: /ca.pem}", "tls", "has no effect"},
		{"name: r, " + hook + "tls: {cert: /c.pem}", "tls.cert", "both, or neither"},
		{"name: r, " + hook + "tls: {ca: /ca.pem, insecure: true}", "tls.insecure", "leave one of them out"},
		{"name: r, " + hook + "tls: {serverName: 'a b'}", "tls.serverName", "name of a host"},
		{"name: r, " + hook + "timeout: 999ms", "timeout", "want 1s to 60s"},
		{"name: r, " + hook + "timeout: 61s", "timeout", "want 1s to 60s"},
		{"name: r, " + hook + "minSeverity: page", "minSeverity", "want one of info, warning, critical"},
		{"name: r, " + hook + "encryption: tls", "encryption", "only a receiver of type smtp"},
		{"name: r, " + hook + "to: [a@example.com]", "to", "has no to"},
		{"name: r, type: alertmanager, url: 'http://h', sendResolved: false", "sendResolved", "always gets"},
		{"name: r, type: smtp, from: a@example.com, to: [b@example.com]", "address", "missing"},
		{"name: r, type: smtp, address: mail, from: a@example.com, to: [b@example.com]", "address", "want host:port"},
		{"name: r, type: smtp, address: 'mail:25', to: [b@example.com]", "from", "missing"},
		{"name: r, type: smtp, address: 'mail:25', from: a@example.com", "to", "missing"},
		{"name: r, type: smtp, address: 'mail:25', from: a@example.com, to: [" + many + "]", "to", "51 recipients are more than 50"},
		{"name: r, type: smtp, address: 'mail:25', from: a, to: [b@example.com]", "from", "want one address"},
		{"name: r, type: smtp, address: 'mail:25', from: \"a@example.com\\r\\nBcc: x@example.com\", to: [b@example.com]", "from", "want one address"},
		{"name: r, type: smtp, address: 'mail:25', from: a@example.com, to: ['b@example.com, c@example.com']", "to[0]", "want one address"},
		{"name: r, type: smtp, address: 'mail:25', from: a@example.com, to: ['\"a b\"@example.com']", "to[0]", "want one address"},
		{"name: r, " + mail + "encryption: ssl", "encryption", "want starttls or tls or none"},
		{"name: r, " + mail + "encryption: none, user: a, password: '${env:P}'", "encryption", "plain text"},
		{"name: r, " + mail + "encryption: none, tls: {ca: /ca.pem}", "tls", "has no effect"},
		{"name: r, " + mail + "url: 'http://h/'", "url", "has no url"},
		{"name: r, " + mail + "bearerToken: '${env:T}'", "bearerToken", "has no bearerToken"},
	} {
		mistake(t, "alerting: {receivers: [{"+row.receiver+"}]}\n", "alerting.receivers[0]."+row.path, row.want)
	}
	for _, row := range []struct{ text, path, want string }{
		{"groupBy: [a b]", "groupBy[0]", "name of a label"},
		{"groupBy: [service, service]", "groupBy[1]", "twice"},
		{"groupBy: [" + strings.Repeat("service, ", 17) + "]", "groupBy", "more than 16"},
		{"groupWait: 61m", "groupWait", "want 0s to 1h"},
		{"groupInterval: 0s", "groupInterval", "want 1s to 24h"},
		{"repeatInterval: 59s", "repeatInterval", "want 1m to 720h"},
		{"groupInterval: 2h, repeatInterval: 1h", "repeatInterval", "shorter than groupInterval"},
		{"consoleUrl: console", "consoleUrl", "want an address like"},
		{"runbookUrl: 'https://h/#x'", "runbookUrl", "must not contain #"},
		{"receivers: [{name: r, " + hook + "}, {name: r, " + hook + "}]", "receivers[1].name", "already at"},
		{"receivers: [" + strings.Repeat("{name: r, "+hook+"}, ", 17) + "]", "receivers", "more than 16"},
	} {
		mistake(t, "alerting: {"+row.text+"}\n", "alerting."+row.path, row.want)
	}
}

// mistake fails t unless a document has the mistake, and no mistake shows a secret.
func mistake(t *testing.T, document, path, want string) {
	t.Helper()
	_, err := Parse([]byte(document))
	text := fmt.Sprint(err)
	if !strings.Contains(text, path+": ") || !strings.Contains(text, want) || strings.Contains(text, "SECRET") {
		t.Errorf("%s: want %s: ... %s, got %v", document, path, want, err)
	}
}
