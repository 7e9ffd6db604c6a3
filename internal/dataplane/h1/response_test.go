package h1

import "testing"

func TestResponseHeadIsUnderstood(t *testing.T) {
	cases := []struct {
		name, in string
		head     bool
		status   int
		body     Framing
		length   int64
		close    bool
	}{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", false, 200, ByLength, 3, false},
		{"no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false, 200, NoBody, 0, false},
		{"empty reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", false, 200, NoBody, 0, false},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, 200, ByChunks, -1, false},
		{"until close", "HTTP/1.1 200 OK\r\n\r\n", false, 200, UntilClose, -1, true},
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true, 200, NoBody, 3, false},
		{"204", "HTTP/1.1 204 No\r\n\r\n", false, 204, NoBody, -1, false},
		{"304", "HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", false, 304, NoBody, 9, false},
		{"interim", "HTTP/1.1 103 Hints\r\n\r\n", false, 103, NoBody, -1, false},
		{"1.0", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n", false, 200, ByLength, 3, true},
		{"1.0 kept", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n", false, 200, ByLength, 3, false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			for cut := range len(tc.in) {
				r, buf := new(Response), []byte(tc.in+"REST")
				if n, err := r.Parse(buf[:cut], tc.head, false, &defaults); n != 0 || err != nil {
					t.Fatalf("after %d bytes: %d, %v", cut, n, err)
				}
				n, err := r.Parse(buf, tc.head, false, &defaults)
				if err != nil || n != len(tc.in) {
					t.Fatalf("got %d, %v", n, err)
				}
				if r.Status != tc.status || r.Body != tc.body || r.Length != tc.length || r.Close != tc.close {
					t.Fatalf("got %+v", r)
				}
			}
		})
	}
}

func TestResponseHeadIsRefused(t *testing.T) {
	for name, in := range map[string]string{
		"garbage":          "SSH-2.0-x\r\n\r\n",
		"garbage, no line": "garbage",
		"version":          "HTTP/2.0 200 OK\r\n\r\n",
		"short status":     "HTTP/1.1 20 OK\r\n\r\n",
		"status 600":       "HTTP/1.1 600 OK\r\n\r\n",
		"status 099":       "HTTP/1.1 099 OK\r\n\r\n",
		"long status":      "HTTP/1.1 2000 OK\r\n\r\n",
		"CTL in reason":    "HTTP/1.1 200 O\x00K\r\n\r\n",
		"bare LF":          "HTTP/1.1 200 OK\n\n",
		"fold":             "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
		"both":             "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"two lengths":      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
		"two codings":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		"gzip coding":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"coding in 1.0":    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"space in name":    "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := new(Response)
			if n, err := r.Parse([]byte(in), false, false, &defaults); err == nil {
				t.Fatalf("accepted: %d bytes, %+v", n, r)
			}
		})
	}
}

// TestToleratedResponses: departures with one reading are read, named, and gone
// from what is written in their place. A strict reader refuses all of them.
func TestToleratedResponses(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		kind Tolerances
		out  string
		body Framing
	}{
		"LF":                  {"HTTP/1.1 200 OK\nA: b\nContent-Length: 2\n\n", LineEnds, "HTTP/1.1 200 OK\r\nA: b\r\n", ByLength},
		"LF among CRLF":       {"HTTP/1.1 200 OK\r\nA: b\nC: d\r\nContent-Length: 2\r\n\r\n", LineEnds, "HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n", ByLength},
		"LF at the end":       {"HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\n", LineEnds, "HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n", UntilClose},
		"equal lengths":       {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n", RepeatedLength, "HTTP/1.1 200 OK\r\n", ByLength},
		"length as a list":    {"HTTP/1.1 200 OK\r\nContent-Length: 2, 2,2\r\n\r\n", RepeatedLength, "HTTP/1.1 200 OK\r\n", ByLength},
		"list and line":       {"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\n", RepeatedLength, "HTTP/1.1 200 OK\r\n", ByLength},
		"600":                 {"HTTP/1.1 600 X\r\nContent-Length: 2\r\n\r\n", OddStatus, "HTTP/1.1 600 X\r\n", ByLength},
		"999":                 {"HTTP/1.1 999 X\r\nContent-Length: 2\r\n\r\n", OddStatus, "HTTP/1.1 999 X\r\n", ByLength},
		"1.2":                 {"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\n", NewerVersion, "HTTP/1.1 200 OK\r\n", ByLength},
		"1.9 chunked":         {"HTTP/1.9 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", NewerVersion, "HTTP/1.1 200 OK\r\n", ByChunks},
		"control in a value":  {"HTTP/1.1 200 OK\r\nA: b\x00\x01\x7fc\rd\r\nContent-Length: 2\r\n\r\n", ControlChars, "HTTP/1.1 200 OK\r\nA: b   c d\r\n", ByLength},
		"control in a reason": {"HTTP/1.1 200 O\x0bK\r\nContent-Length: 2\r\n\r\n", ControlChars, "HTTP/1.1 200 O K\r\n", ByLength},
		"chunked in 1.0":      {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n", OldChunked, "HTTP/1.1 200 OK\r\n", ByChunks},
		"connection names":    {"HTTP/1.1 200 OK\r\nConnection: x, Authorization\r\nX: 1\r\nAuthorization: y\r\nContent-Length: 2\r\n\r\n", ConnectionNames, "HTTP/1.1 200 OK\r\nAuthorization: y\r\n", ByLength},
		"connection framing":  {"HTTP/1.1 200 OK\r\nConnection: Content-Length\r\nContent-Length: 2\r\n\r\n", ConnectionNames, "HTTP/1.1 200 OK\r\n", ByLength},
		"folded":              {"HTTP/1.1 200 OK\r\nA: b\r\n  c \r\n\td\r\nContent-Length: 2\r\n\r\n", FoldedLine, "HTTP/1.1 200 OK\r\nA: b    c   \td\r\n", ByLength},
		"blank before colon":  {"HTTP/1.1 200 OK\r\nB: c\r\nA \t: b\r\nContent-Length : 2\r\nD: e\r\n\r\n", BlankName, "HTTP/1.1 200 OK\r\nB: c\r\nA: b\r\nD: e\r\n", ByLength},
	} {
		t.Run(name, func(t *testing.T) {
			if n, err := new(Response).Parse([]byte(tc.in), false, false, &defaults); err == nil {
				t.Fatalf("a strict reader takes %d bytes", n)
			}
			for cut := range len(tc.in) {
				r, buf := new(Response), []byte(tc.in+"ok")
				if n, err := r.Parse(buf[:cut], false, true, &defaults); n != 0 || err != nil {
					t.Fatalf("after %d bytes: %d, %v", cut, n, err)
				}
				n, err := r.Parse(buf, false, true, &defaults)
				if err != nil || n != len(tc.in) || r.Tolerated != tc.kind || r.Body != tc.body {
					t.Fatalf("got %d of %d, %v, tolerated %b, framing %d", n, len(tc.in), err, r.Tolerated, r.Body)
				}
				if tc.kind == OldChunked && !r.Close {
					t.Error("the connection is kept")
				}
				if got := string(r.AppendHead(nil, 0)); got != tc.out {
					t.Fatalf("written as %q, want %q", got, tc.out)
				}
			}
		})
	}
}

// What has two readings is refused by a tolerant reader too.
func TestWhatDesynchronisesIsNotTolerated(t *testing.T) {
	for name, in := range map[string]string{
		"length and chunks":     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"the same in 1.0":       "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"unequal lengths":       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"unequal in a list":     "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n",
		"list and another":      "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\nContent-Length: 2\r\n\r\n",
		"list with a hole":      "HTTP/1.1 200 OK\r\nContent-Length: 1,,1\r\n\r\n",
		"list with a sign":      "HTTP/1.1 200 OK\r\nContent-Length: 1, +1\r\n\r\n",
		"control in a length":   "HTTP/1.1 200 OK\r\nContent-Length: 1\x002\r\n\r\n",
		"CR in a length":        "HTTP/1.1 200 OK\r\nContent-Length: 1\r2\r\n\r\n",
		"control in a name":     "HTTP/1.1 200 OK\r\nA\x00B: 1\r\n\r\n",
		"folded length":         "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 2\r\n\r\n",
		"folded coding":         "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
		"folded first line":     "HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
		"two codings":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		"gzip coding":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"control in the coding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\x00\x01x\r\n\r\n",
		"control before coding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: \vchunked\r\n\r\n",
		"control behind coding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\f\r\n\r\n",
		"control before length": "HTTP/1.1 200 OK\r\nContent-Length: \v1\r\n\r\n",
		"control behind length": "HTTP/1.1 200 OK\r\nContent-Length: 1\x00\r\n\r\n",
		"no colon":              "HTTP/1.1 200 OK\r\nabc\r\n\r\n",
		"empty name":            "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
		"CR CR LF":              "HTTP/1.1 200 OK\r\nA: b\r\n\r\r\n",
		"HTTP/2.0":              "HTTP/2.0 200 OK\r\n\r\n",
		"status 099":            "HTTP/1.1 099 OK\r\n\r\n",
		"status of four digits": "HTTP/1.1 1000 OK\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := new(Response)
			if n, err := r.Parse([]byte(in), false, true, &defaults); err == nil {
				t.Fatalf("accepted: %d bytes, %+v", n, r)
			}
		})
	}
}
