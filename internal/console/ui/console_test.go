package ui_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/console/ui"
)

func get(path string) (int, http.Header, string) {
	w := httptest.NewRecorder()
	ui.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Result().Header, w.Body.String()
}

// Every address of the application is the same page; with or without the UI in
// this binary it is one that helps.
func TestEveryAddressIsThePage(t *testing.T) {
	for _, path := range []string{"/", "/topics", "/instances/s/i", "/instances/s/a%2Fb", "/../../etc/passwd", "/dist/index.html", "/assets/"} {
		status, h, body := get(path)
		if status != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/html") || h.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %d %v", path, status, h)
		}
		if !strings.Contains(body, "<title>smartlb</title>") {
			t.Errorf("%s: %.200s", path, body)
		}
		if !ui.Built() && !strings.Contains(body, "make build") {
			t.Errorf("%s does not say how to get the UI", path)
		}
	}
}

// The content security policy forbids what stands in the page itself.
func TestPageNeedsNothingThatThePolicyForbids(t *testing.T) {
	_, _, body := get("/")
	if strings.Contains(body, "<style") || strings.Contains(body, " style=") || regexp.MustCompile(`<script[^>]*>[^<]`).MatchString(body) {
		t.Errorf("inline style or script:\n%s", body)
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="(/[^"]*\.(?:js|css|svg))"`).FindAllStringSubmatch(body, -1) {
		status, h, file := get(m[1])
		if status != 200 || file == "" || strings.HasPrefix(h.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %s", m[1], status, h.Get("Content-Type"))
		}
		if hashed := strings.HasPrefix(m[1], "/assets/"); hashed != strings.Contains(h.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: Cache-Control %q", m[1], h.Get("Cache-Control"))
		}
	}
}

// The first page, with all that it loads at once, stays small on the wire.
func TestTheFirstPageIsSmall(t *testing.T) {
	const limit = 250 << 10
	zipped := func(path string) int {
		t.Helper()
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		ui.Handler().ServeHTTP(w, r)
		if !ui.Built() {
			return 0
		}
		z, err := gzip.NewReader(bytes.NewReader(w.Body.Bytes()))
		if w.Result().Header.Get("Content-Encoding") != "gzip" || err != nil {
			t.Fatalf("%s: %v %v", path, w.Result().Header, err)
		}
		plain, err := io.ReadAll(z)
		if _, _, want := get(path); err != nil || string(plain) != want {
			t.Errorf("%s: compressed it is another file: %v", path, err)
		}
		return w.Body.Len()
	}
	total := zipped("/")
	_, _, body := get("/")
	for _, m := range regexp.MustCompile(`(?:src|href)="(/[^"]*\.(?:js|css|svg))"`).FindAllStringSubmatch(body, -1) {
		total += zipped(m[1])
	}
	if total > limit {
		t.Errorf("%d bytes, more than %d", total, limit)
	}
}
