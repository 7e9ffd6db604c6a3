// Package secret defines references to secrets, so that configurations do not contain the secrets: ${env:NAME},
// ${file:/path} or ${credential:NAME} (systemd's LoadCredential=). A [Ref] may be printed. The secret is read at each
// use, so that it can be rotated.
package secret

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// Ref names a secret. The zero value names no secret.
type Ref string

// ErrLiteral refuses a secret in the place of its name.
var ErrLiteral = errors.New("a secret is not written here but named: ${env:NAME} for a variable, ${file:/absolute/path} for a file, ${credential:NAME} for a credential of the systemd unit")

var (
	form       = regexp.MustCompile(`^\$\{(env|file|credential):([^{}]+)\}$`)
	name       = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	credential = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
)

// parts returns kind and name.
func (r Ref) parts() (kind, of string, ok bool) {
	m := form.FindStringSubmatch(string(r))
	if m == nil {
		return "", "", false
	}
	kind, of = m[1], m[2]
	return kind, of, kind == "env" && name.MatchString(of) || kind == "file" && filepath.IsAbs(of) || kind == "credential" && credential.MatchString(of)
}

// Check returns an error if r does not name a secret. The error never contains r, which may be the secret itself.
func (r Ref) Check() error {
	if r == "" {
		return nil
	}
	if _, _, ok := r.parts(); !ok {
		return ErrLiteral
	}
	return nil
}

// String is safe to print: it does not show a literal secret.
func (r Ref) String() string {
	if r.Check() != nil {
		return "(a literal secret, refused)"
	}
	return string(r)
}

// MarshalText keeps a literal secret out of JSON.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// GoString keeps a literal secret out of %#v.
func (r Ref) GoString() string { return fmt.Sprintf("%q", r.String()) }

// Resolve reads the secret. It removes line breaks at the end of a file. An empty secret is an error, because it is
// never intended.
func (r Ref) Resolve(getenv func(string) string, read func(string) ([]byte, error)) (string, error) {
	kind, of, ok := r.parts()
	if !ok {
		return "", ErrLiteral
	}
	value := ""
	switch kind {
	case "env":
		value = getenv(of)
		if value == "" {
			return "", fmt.Errorf("the variable %s is not set", of)
		}
		return value, nil
	case "credential":
		dir := getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return "", fmt.Errorf("${credential:%s}: CREDENTIALS_DIRECTORY is not set; systemd sets it for a unit with LoadCredential=%s:FILE", of, of)
		}
		of = filepath.Join(dir, of)
	}
	raw, err := read(of)
	if err != nil {
		return "", err
	}
	if value = strings.TrimRight(string(raw), "\r\n"); value == "" {
		return "", fmt.Errorf("%s is empty", of)
	}
	return value, nil
}
