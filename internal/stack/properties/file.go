package properties

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Property is one setting.
type Property struct{ Key, Value string }

// File is a Java properties file: settings in the order of the file. Keys are unique.
type File []Property

// Get returns the value of a key, and whether it exists.
func (f File) Get(key string) (string, bool) {
	for _, p := range f {
		if p.Key == key {
			return p.Value, true
		}
	}
	return "", false
}

// With returns the file with settings added, or replaced if they exist.
func (f File) With(settings ...Property) File {
	out := append(File(nil), f...)
next:
	for _, s := range settings {
		for i := range out {
			if out[i].Key == s.Key {
				out[i] = s
				continue next
			}
		}
		out = append(out, s)
	}
	return out
}

// String returns the file in the format of Java's Properties.load: Latin-1, all other characters escaped.
func (f File) String() string {
	var b strings.Builder
	for _, p := range f {
		escape(&b, p.Key, true)
		b.WriteByte('=')
		escape(&b, p.Value, false)
		b.WriteByte('\n')
	}
	return b.String()
}

// escape writes a key or a value. In keys it also escapes the separators.
func escape(b *strings.Builder, s string, key bool) {
	leading := true
	for _, r := range s {
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == ' ' && (leading || key), key && strings.ContainsRune("=:#!", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r > 0x7e:
			for _, u := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(b, `\u%04X`, u)
			}
		default:
			b.WriteRune(r)
		}
		leading = leading && r == ' '
	}
}

// Parse parses a properties file as String writes it, with comments, but without continued lines. A duplicate key is an
// error.
func Parse(text string) (File, error) {
	var f File
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimLeft(lines.Text(), " \t\f")
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		key, value, err := split(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if _, twice := f.Get(key); twice {
			return nil, fmt.Errorf("line %d: %s is there twice", n, key)
		}
		f = append(f, Property{key, value})
	}
	return f, lines.Err()
}

func split(line string) (key, value string, err error) {
	at := 0
	for at < len(line) && !strings.ContainsRune("=: \t\f", rune(line[at])) {
		if line[at] == '\\' {
			at++
		}
		at++
	}
	if at > len(line) {
		return "", "", fmt.Errorf("continued lines are not understood")
	}
	if key, err = unescape(line[:at]); err != nil {
		return "", "", err
	}
	rest := strings.TrimLeft(line[at:], " \t\f")
	if rest != "" && (rest[0] == '=' || rest[0] == ':') {
		rest = strings.TrimLeft(rest[1:], " \t\f")
	}
	value, err = unescape(rest)
	return key, value, err
}

func unescape(s string) (string, error) {
	var units []uint16
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '\\' {
			units = append(units, uint16(c)) // Latin-1
			continue
		}
		i++
		if i == len(s) {
			return "", fmt.Errorf("continued lines are not understood")
		}
		switch s[i] {
		case 'n':
			units = append(units, '\n')
		case 'r':
			units = append(units, '\r')
		case 't':
			units = append(units, '\t')
		case 'f':
			units = append(units, '\f')
		case 'u':
			if i+5 > len(s) {
				return "", fmt.Errorf(`\u without four digits`)
			}
			u, err := strconv.ParseUint(s[i+1:i+5], 16, 16)
			if err != nil {
				return "", fmt.Errorf(`\u without four digits`)
			}
			units = append(units, uint16(u))
			i += 4
		default:
			units = append(units, uint16(s[i]))
		}
	}
	return string(utf16.Decode(units)), nil
}
