package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/compress"
)

func TestMistakesInCompressionAreNamed(t *testing.T) {
	for _, tc := range []struct{ route, want string }{
		{"compression: {}", ""},
		{"compression: {encodings: [gzip], types: [text/*, Application/JSON], minSize: 0}", ""},
		{"compression: {minSize: 1048576}", ""},
		{"compression: {encodings: []}", "compression.encodings: missing"},
		{"compression: {encodings: [deflate]}", `compression.encodings[0]: "deflate": want zstd, br or gzip`},
		{"compression: {encodings: [identity]}", `compression.encodings[0]: "identity"`},
		{"compression: {encodings: [gzip, gzip]}", `compression.encodings[1]: encoding "gzip" is already at`},
		{"compression: {types: []}", "compression.types: missing"},
		{"compression: {types: [html]}", `compression.types[0]: "html": want a media type`},
		{"compression: {types: ['*/*']}", "compression.types[0]"},
		{"compression: {types: ['text/x*']}", "compression.types[0]"},
		{"compression: {types: ['text/html; charset=utf-8']}", "compression.types[0]"},
		{"compression: {types: [text/" + strings.Repeat("x", 200) + "]}", "compression.types[0]"},
		{"compression: {types: [" + strings.Repeat("text/a, ", 100) + "text/a]}", "compression.types: 101 types are more than 100"},
		{"compression: {minSize: -1}", "compression.minSize: want 0 to 1048576, got -1"},
		{"compression: {minSize: 1048577}", "compression.minSize: want 0 to 1048576"},
		{"compression: {level: 9}", "compression.level: unknown key"},
	} {
		_, err := ParseTraffic([]byte("services: [{id: a, instances: [{id: i, address: 'h:1'}]}]\nroutes:\n  - {name: r, service: a, " + tc.route + "}\n"))
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), "line 3: routes[0]."+tc.want)) {
			t.Errorf("%.200s: got %v, want %q", tc.route, err, tc.want)
		}
	}
	_, err := Parse([]byte("routes:\n  - {name: r, response: {status: 200}, compression: {}}\n"))
	if err == nil || !strings.Contains(err.Error(), "routes[0].compression: has no effect") {
		t.Errorf("a fixed response: %v", err)
	}
}

func TestCompressionIsCompiled(t *testing.T) {
	d, err := ParseTraffic([]byte("services: [{id: a, instances: [{id: i, address: 'h:1'}]}]\nroutes:\n  - {name: r, service: a, compression: {encodings: [br, gzip], types: [Text/HTML]}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	p := compileCompression(d.Routes[0].Compression)
	if !slices.Equal(p.Codings, []compress.Coding{compress.Brotli, compress.Gzip}) || !slices.Equal(p.Types, compress.Types{"text/html"}) || p.MinSize != 1024 {
		t.Errorf("got %+v", p)
	}
	if compileCompression(nil) != nil {
		t.Error("a route without compression has one")
	}
}
