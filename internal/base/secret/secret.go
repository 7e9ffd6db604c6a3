// Package secret is how configurations name secrets without holding them:
// ${env:NAME}, ${file:/path} or ${credential:NAME} (systemd's LoadCredential=).
// A [Ref] may be printed; what it stands for is read where it is used, each
// time, so that a secret can be rotated.
package secret

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// Ref names a secret. The zero value names none.
type Ref string

// ErrLiteral refuses a secret that stands where its name should.
var ErrLiteral = errors.New("a secret is not written here but named: ${env:NAME} for a variable, ${file:/absolute/path} for a file, ${credential:NAME} for a credential of the systemd unit")

var (
	form       = regexp.MustCompile(`^\$\{(env|file|credential):([^{}]+)\}$`)
	name       = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	credential = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
)

// parts gives kind and name.
func (r Ref) parts() (kind, of string, ok bool) {
	m := form.FindStringSubmatch(string(r))
	if m == nil {
		return "", "", false
	}
	kind, of = m[1], m[2]
	return kind, of, kind == "env" && name.MatchString(of) || kind == "file" && filepath.IsAbs(of) || kind == "credential" && credential.MatchString(of)
}

// Check refuses what names no secret. Its error never holds r, which may be the
// secret itself.
func (r Ref) Check() error {
	if r == "" {
		return nil
	}
	if _, _, ok := r.parts(); !ok {
		return ErrLiteral
	}
	return nil
}

// String is safe to print: a literal is not shown.
func (r Ref) String() string {
	if r.Check() != nil {
		return "(a literal secret, refused)"
	}
	return string(r)
}

// MarshalText keeps a literal out of JSON.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// GoString keeps a literal out of %#v.
func (r Ref) GoString() string { return fmt.Sprintf("%q", r.String()) }

// Resolve reads the secret. A file's last line break does not belong to it. An
// empty secret is an error, because it is never meant.
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
