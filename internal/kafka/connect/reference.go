package connect

import (
	"fmt"
	"regexp"
)

// reference matches a setting whose value one of the worker's config providers reads: ${provider:path:key} or
// ${provider:key}.
var reference = regexp.MustCompile(`^\$\{([a-zA-Z0-9_]+):[^}]*\}$`)

// provided matches a reference anywhere in a setting to one of the usual config providers. Other words may be a
// template of the connector.
var provided = regexp.MustCompile(`\$\{(env|file|dir|directory|vault|secrets?|secretManager):[^}]*\}`)

func isReference(value string) bool { return reference.MatchString(value) }

// unresolved explains a reference that the worker treated as plain text; empty if there is none. got is the value that
// the worker reports. It is nil, or hidden for a password; then the result is unknown.
func unresolved(given string, got *string) string {
	found := provided.FindStringSubmatch(given)
	if found == nil || got == nil || *got != given {
		return ""
	}
	return fmt.Sprintf("the worker takes %s literally: it has no config provider %s, the provider does not find the key, or the file is outside of the allowed paths", found[0], found[1])
}
