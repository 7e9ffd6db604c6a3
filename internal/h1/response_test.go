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
				if n, err := r.Parse(buf[:cut], tc.head, &defaults); n != 0 || err != nil {
					t.Fatalf("after %d bytes: %d, %v", cut, n, err)
				}
				n, err := r.Parse(buf, tc.head, &defaults)
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
			if n, err := r.Parse([]byte(in), false, &defaults); err == nil {
				t.Fatalf("accepted: %d bytes, %+v", n, r)
			}
		})
	}
}
