package h1

import (
	"strings"
	"testing"
)

func TestReservedFieldsAreRemovedInEverySpelling(t *testing.T) {
	const name = "X-Client-Subject"
	for _, how := range []Underscores{DropUnderscores, KeepUnderscores} {
		lim := Limits{Reserved: []string{name, "Content.Length"}, Underscores: how}.WithDefaults()
		for _, spelling := range []string{name, "x-client-subject", "X_Client_Subject", "x_client-subject", "X.Client!Subject", "X-CLIENT_SUBJECT"} {
			for _, more := range []string{"", "Connection: " + spelling + "\r\n", "Connection: close\r\n" + spelling + ": twice\r\n"} {
				r := new(Request)
				head := "POST / HTTP/1.1\r\nHost: a\r\nX-Other: kept\r\n" + spelling + ":CN=forged\r\n" + more + "Content-Length: 3\r\n\r\n"
				if n, err := r.Parse([]byte(head), &lim); n != len(head) || err != nil {
					t.Fatalf("%q: %d, %v", head, n, err)
				}
				out := string(r.AppendHead(nil, 0))
				if strings.Contains(out, "forged") || strings.Contains(out, "twice") || !strings.Contains(out, "X-Other: kept\r\n") || !strings.Contains(out, "Content-Length: 3\r\n") {
					t.Errorf("%q is forwarded as %q", head, out)
				}
				if v, ok := r.Header(spelling); ok {
					t.Errorf("%q: a rule sees %q", head, v)
				}
				if r.Body != ByLength || r.Length != 3 {
					t.Errorf("%q: body %v of %d bytes", head, r.Body, r.Length)
				}
			}
		}
		for _, other := range []string{"X-Client-Subjec", "X-Client-Subject2", "XClientSubject", "Y-Client-Subject"} {
			r := new(Request)
			if _, err := r.Parse([]byte("GET / HTTP/1.1\r\nHost: a\r\n"+other+": v\r\n\r\n"), &lim); err != nil {
				t.Fatal(err)
			}
			if out := string(r.AppendHead(nil, 0)); !strings.Contains(out, other+": v\r\n") {
				t.Errorf("%s is removed: %q", other, out)
			}
		}
	}
	lim := Limits{Reserved: []string{name}, Underscores: RejectUnderscores}.WithDefaults()
	if _, err := new(Request).Parse([]byte("GET / HTTP/1.1\r\nHost: a\r\nX_Client_Subject: v\r\n\r\n"), &lim); err != errUnderscore {
		t.Errorf("a reserved name with an underscore: %v", err)
	}
}

func TestSpecialFields(t *testing.T) {
	for name, want := range map[string]bool{
		"Host": true, "content-length": true, "Content_Length": true, "Transfer.Encoding": true, "X-Forwarded-For": true, "x_forwarded_anything": true,
		"X-Request-Id": true, "X-Smartlb-Decision": true, "Authorization": true, "Cookie": true, "Via": true, "Date": true, "Connection": true,
		"X-Client-Subject": false, "SSL_CLIENT_S_DN": false, "": false, "X-Forwarde": false,
	} {
		if got := Special(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
