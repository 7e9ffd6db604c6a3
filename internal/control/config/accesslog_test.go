package config

import (
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/accesslog"
)

func TestAccessLogOptions(t *testing.T) {
	for text, want := range map[string]string{
		`{}`: "",
		`{format: combined, sample: 0, errorsOnly: true}`: "",
		`{format: '"${request}" $${x} ${userAgent}'}`:     "",
		`{fields: [status, path, user_agent]}`:            "",
		`{format: jsn}`:                                   `line 1: proxy.accessLogOptions.format: "jsn" has no variable: want json, combined or common`,
		`{format: ""}`:                                    `proxy.accessLogOptions.format: missing: want json`,
		`{format: "${clint}"}`:                            `proxy.accessLogOptions.format: there is no variable ${clint}; variables: time, requestId`,
		`{format: "${client}\nx"}`:                        `proxy.accessLogOptions.format: a template cannot have line breaks`,
		`{format: combined, fields: [status]}`:            `proxy.accessLogOptions.fields: only the format json has fields, the format is "combined"`,
		`{fields: [status, status]}`:                      `proxy.accessLogOptions.fields: field status is given twice`,
		`{fields: [requestId]}`:                           `proxy.accessLogOptions.fields: unknown field "requestId", want one of time, request_id`,
		`{sample: 1.1}`:                                   `proxy.accessLogOptions.sample: want 0 to 1, got 1.1`,
		`{sample: -1}`:                                    `proxy.accessLogOptions.sample: want 0 to 1, got -1`,
		`{errorsOnly: 1}`:                                 `proxy.accessLogOptions.errorsOnly: want true or false`,
		`x.log`:                                           `proxy.accessLogOptions: want keys with values`,
	} {
		_, err := Parse([]byte("proxy: {accessLogOptions: " + text + "}\n"))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestAccessLogOptionsByVariables(t *testing.T) {
	d := Default()
	err := Environment(&d, func(name string) string {
		return map[string]string{
			"SMARTLB_PROXY_ACCESS_LOG":                "a.log",
			"SMARTLB_PROXY_ACCESS_LOG_OPTIONS_FORMAT": "${client} '${status}'",
			"SMARTLB_PROXY_ACCESS_LOG_OPTIONS_SAMPLE": ".5",
		}[name]
	})
	if o := d.Proxy.AccessLogOptions; err != nil || d.Proxy.AccessLog != "a.log" || o.Format != "${client} '${status}'" || o.Sample != .5 {
		t.Errorf("%v, %+v", err, d.Proxy)
	}
	f, err := d.Proxy.AccessLogOptions.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if got := string(f.Append(nil, &accesslog.Entry{Status: 200})); got != "- '200'\n" {
		t.Errorf("got %q", got)
	}
}
