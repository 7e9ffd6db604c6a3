package connect

import (
	"fmt"
	"regexp"
)

// reference is a setting whose value a config provider of the worker reads:
// ${provider:path:key} or ${provider:key}.
var reference = regexp.MustCompile(`^\$\{([a-zA-Z0-9_]+):[^}]*\}$`)

// provided is a reference anywhere in a setting, to one of the config providers
// that workers usually have. Other words may be a template of the connector.
var provided = regexp.MustCompile(`\$\{(env|file|dir|directory|vault|secrets?|secretManager):[^}]*\}`)

func isReference(value string) bool { return reference.MatchString(value) }

// unresolved explains a reference that the worker took as plain text; empty
// where there is none. got is the value as the worker sees it: nil, or hidden
// where it is a password, and then nothing is known.
func unresolved(given string, got *string) string {
	found := provided.FindStringSubmatch(given)
	if found == nil || got == nil || *got != given {
		return ""
	}
	return fmt.Sprintf("the worker takes %s literally: it has no config provider %s, the provider does not find the key, or the file is outside of the allowed paths", found[0], found[1])
}
