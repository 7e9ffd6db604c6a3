package config

import (
	"io"
	"os"

	"github.com/goccy/go-yaml/ast"

	"github.com/smartlb/smartlb/internal/base/yamlsafe"
)

// MaxBytes is the size limit of a document. A thousand services with a hundred instances each fit.
const MaxBytes = 9 << 20

// limits returns the limits of a document. The largest document has a million keys, values and brackets.
func limits() yamlsafe.Limits {
	return yamlsafe.Limits{Bytes: MaxBytes, Tokens: 1_250_000, Documents: 1}
}

// ReadFile reads a file. It reads at most one byte more than a document may have, so that Parse refuses a larger file.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxBytes+1))
}

// Parse reads a whole file and applies the defaults. The error is [Mistakes].
func Parse(src []byte) (Document, error) {
	d := Default()
	if err := parse(src, &d, false); err != nil {
		return Document{}, err
	}
	return d, nil
}

// ParseTraffic reads a published document. Node settings in it are unknown keys. A setting without effect is a warning: an
// older smartlb may have published it.
func ParseTraffic(src []byte) (Traffic, error) { return parseTraffic(src, true) }

func parseTraffic(src []byte, published bool) (Traffic, error) {
	var t Traffic
	if err := parse(src, &t, published); err != nil {
		return Traffic{}, err
	}
	return t, nil
}

// Empty reports whether the document has no listener, no route and no service.
func (t Traffic) Empty() bool {
	return len(t.Listeners) == 0 && len(t.Routes) == 0 && len(t.Services) == 0
}

func parse(src []byte, v any, published bool) error {
	if len(src) > MaxBytes {
		return Mistakes{{Text: "larger than 9 MiB"}}
	}
	w := &walker{at: map[string]int{}, given: map[string]bool{}, anchors: map[string]ast.Node{}}
	w.document(src, v)
	c := checker{at: w.at, mistakes: w.mistakes, published: published}
	given := func(path string) bool { return w.given[path] }
	switch d := v.(type) {
	case *Document:
		d.fill(given)
		c.node(d.Node)
		c.traffic(d.Traffic)
		c.listening(*d)
		c.nodeWarnings(d.Node, given)
		if given("kafka.tls.enabled") && !d.Kafka.TLS.Enabled && d.Kafka.TLS.On() {
			c.fail("kafka.tls.enabled", "false contradicts the other keys of tls, which switch it on; leave them out")
		}
		c.warnings(d.Traffic, given)
		c.unsentLogins(d)
		d.Warnings = c.warned.sorted()
	case *Traffic:
		d.fill(given)
		c.traffic(*d)
		c.warnings(*d, given)
		d.Warnings = c.warned.sorted()
	}
	if len(c.mistakes) > 0 {
		return c.mistakes.sorted()
	}
	return nil
}
