// Package ui serves the web UI, which is built from web/ into dist and embedded in the binary. Without that build, it
// serves a page with the build instructions; the API works without the UI.
package ui

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed all:dist
var files embed.FS

// Handler serves the UI. It serves files unchanged; for every other path it serves the application, which has its own
// router. Built files have a hash in their name, so clients may cache them without limit. Clients that accept gzip get
// gzip; each file is compressed once.
func Handler() http.Handler {
	dist, err := fs.Sub(files, "dist")
	if err != nil {
		panic(err) // cannot happen: the embed directive includes dist
	}
	s := &site{dist: dist, zipped: map[string][]byte{}}
	return http.HandlerFunc(s.serve)
}

type site struct {
	dist fs.FS

	mu     sync.Mutex
	zipped map[string][]byte
}

func (s *site) serve(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	body, err := fs.ReadFile(s.dist, name)
	switch {
	case err != nil || name == "index.html":
		name = "index.html"
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if body, err = fs.ReadFile(s.dist, name); err != nil {
			_, _ = w.Write([]byte(unbuilt))
			return
		}
	case strings.HasPrefix(name, "assets/"):
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		w.Header().Set("Content-Type", t)
	}
	w.Header().Add("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		body = s.zip(name, body)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

func (s *site) zip(name string, body []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if z, ok := s.zipped[name]; ok {
		return z
	}
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // cannot fail: the level is a valid constant
	_, _ = z.Write(body)
	_ = z.Close()
	s.zipped[name] = out.Bytes()
	return s.zipped[name]
}

// Built reports whether the binary contains the UI.
func Built() bool {
	_, err := files.ReadFile("dist/index.html")
	return err == nil
}

const unbuilt = `<!doctype html><html lang="en"><meta charset="utf-8"><title>smartlb</title>
<h1>smartlb console</h1>
<p>This binary was built without the web UI. Install Node.js 20 or newer and run <code>make build</code>.</p>
<p>The API works: <a href="/api/v1/overview">/api/v1/overview</a>, <a href="/api/v1/topics">/api/v1/topics</a>. In a terminal: <code>smartlb services</code>, <code>smartlb explain INSTANCE</code>.</p>
</html>`
