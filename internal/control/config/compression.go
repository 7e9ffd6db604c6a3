package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/smartlb/smartlb/internal/dataplane/compress"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// Compression compresses responses of instances for clients that accept it.
type Compression struct {
	Encodings []string `yaml:"encodings"` // of zstd, br and gzip. Of those that the client likes equally, it gets the first; default zstd, br, gzip
	// media types of the responses, such as `text/html`, or `text/*` for all that begin with `text/`, at most 100; default text/*,
	// application/json, application/problem+json, application/manifest+json, application/javascript, application/xml, application/wasm, image/svg+xml
	Types   []string `yaml:"types"`
	MinSize int      `yaml:"minSize"` // smallest Content-Length in bytes that is compressed, 0 to 1048576. Responses without Content-Length are compressed; default 1024
}

const (
	maxTypes   = 100
	maxMinSize = 1 << 20
)

var defaultTypes = []string{
	"text/*", "application/json", "application/problem+json", "application/manifest+json", "application/javascript", "application/xml", "application/wasm", "image/svg+xml",
}

func (r *Route) fillCompression(path string, given func(string) bool) {
	z := r.Compression
	if z == nil {
		return
	}
	if !given(path + ".compression.encodings") {
		z.Encodings = []string{"zstd", "br", "gzip"}
	}
	if !given(path + ".compression.types") {
		z.Types = slices.Clone(defaultTypes)
	}
	orDefault(&z.MinSize, 1024, given(path+".compression.minSize"))
}

func (c *checker) compression(path string, r Route) {
	z := r.Compression
	if z == nil {
		return
	}
	if r.Redirect != nil || r.Response != nil {
		c.useless(path, "has no effect: only responses of instances are compressed")
	}
	if len(z.Encodings) == 0 {
		c.fail(path+".encodings", "missing: want some of zstd, br and gzip")
	}
	seen := map[string]string{}
	for i, name := range z.Encodings {
		at := fmt.Sprintf("%s.encodings[%d]", path, i)
		if _, ok := compress.Named(name); !ok {
			c.fail(at, "%.200q: want zstd, br or gzip", name)
			continue
		}
		c.unique(at, "encoding", name, seen)
	}
	if len(z.Types) == 0 {
		c.fail(path+".types", "missing: want media types such as text/html")
	}
	for i, name := range bounded(c, path+".types", "types", z.Types, maxTypes) {
		if !isMediaType(name) {
			c.fail(fmt.Sprintf("%s.types[%d]", path, i), "%.200q: want a media type such as text/html or text/*, without parameters", name)
		}
	}
	if z.MinSize < 0 || z.MinSize > maxMinSize {
		c.fail(path+".minSize", "want 0 to %d, got %d", maxMinSize, z.MinSize)
	}
}

func isMediaType(s string) bool {
	kind, sub, ok := strings.Cut(s, "/")
	return ok && len(s) <= 200 && h1.IsToken(kind) && h1.IsToken(sub) && !strings.Contains(kind, "*") && (sub == "*" || !strings.Contains(sub, "*"))
}

// compileCompression compiles the compression of a checked route, nil if it has none.
func compileCompression(z *Compression) *compress.Policy {
	if z == nil {
		return nil
	}
	p := &compress.Policy{MinSize: int64(z.MinSize)}
	for _, name := range z.Encodings {
		coding, _ := compress.Named(name)
		p.Codings = append(p.Codings, coding)
	}
	for _, name := range z.Types {
		p.Types = append(p.Types, strings.ToLower(name))
	}
	return p
}
