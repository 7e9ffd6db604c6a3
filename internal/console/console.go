// Package console serves the web UI that is built from web/ into dist and
// embedded here. Without that build it serves a page that says how to get it;
// the API beside it works all the same.
package console

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed all:dist
var files embed.FS

// Handler serves the UI: files as they are, every other path the application,
// which routes by itself. Built files carry a hash in their name and may be
// kept for ever.
func Handler() http.Handler {
	dist, err := fs.Sub(files, "dist")
	if err != nil {
		panic(err) // the pattern of the embed directive guarantees it
	}
	server := http.FileServerFS(dist)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
		if info, err := fs.Stat(dist, name); name != "" && err == nil && !info.IsDir() {
			if strings.HasPrefix(name, "assets/") {
				w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			}
			server.ServeHTTP(w, r)
			return
		}
		index, err := fs.ReadFile(dist, "index.html")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		if err != nil {
			_, _ = w.Write([]byte(unbuilt))
			return
		}
		_, _ = w.Write(index)
	})
}

// Built says whether the UI is in this binary.
func Built() bool {
	_, err := files.ReadFile("dist/index.html")
	return err == nil
}

const unbuilt = `<!doctype html><html lang="en"><meta charset="utf-8"><title>smartlb</title>
<h1>smartlb console</h1>
<p>This binary was built without the web UI. Install Node.js 20 or newer and run <code>make build</code>.</p>
<p>The API works: <a href="/api/v1/overview">/api/v1/overview</a>, <a href="/api/v1/topics">/api/v1/topics</a>. In a terminal: <code>smartlb services</code>, <code>smartlb explain INSTANCE</code>.</p>
</html>`
