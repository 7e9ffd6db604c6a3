package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/smartlb/smartlb/internal/base/yamlsafe"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

// Environment sets node keys from SMARTLB_<SECTION>_<KEY>. It also sets the brokers from KAFKA_BROKER, unless
// SMARTLB_KAFKA_BROKERS is set. KAFKA_BROKER only says where clients connect. Values have the same syntax as in the
// document.
func Environment(d *Document, getenv func(string) string) error {
	var mistakes []string
	sections := reflect.ValueOf(&d.Node).Elem()
	for i := range sections.NumField() {
		section := sections.Type().Field(i).Tag.Get("yaml")
		for key, field := range flatten(sections.Field(i)) {
			name := "SMARTLB_" + upperSnake(section) + "_" + key
			value := getenv(name)
			if name == signingKeys {
				continue // see SigningKeys
			}
			if name == "SMARTLB_KAFKA_BROKERS" && value == "" {
				value = getenv("KAFKA_BROKER")
			}
			if value == "" {
				continue
			}
			if err := setText(field, value); err != nil {
				if strings.Contains(name, "_SASL_") {
					value = "..." // may be the secret itself instead of its name
				}
				mistakes = append(mistakes, fmt.Sprintf("%s=%s: %v", name, value, err))
			}
		}
	}
	if keys, err := SigningKeys(getenv); err != nil {
		mistakes = append(mistakes, err.Error())
	} else if len(keys.Keys) > 0 {
		d.Signing.Keys = keys.Keys
	}
	c := checker{at: map[string]int{}}
	c.node(d.Node)
	for _, m := range c.mistakes {
		mistakes = append(mistakes, m.Path+": "+m.Text)
	}
	if len(mistakes) > 0 {
		return fmt.Errorf("environment: %s", strings.Join(mistakes, "; "))
	}
	return nil
}

const signingKeys = "SMARTLB_SIGNING_KEYS"

// SigningKeys reads the variable SMARTLB_SIGNING_KEYS: ID=REFERENCE,...
func SigningKeys(getenv func(string) string) (sign.Config, error) {
	text := getenv(signingKeys)
	if text == "" {
		return sign.Config{}, nil
	}
	keys, err := sign.ParseKeys(text)
	if err != nil {
		return sign.Config{}, fmt.Errorf("%s: %w", signingKeys, err) // the text may contain a secret
	}
	return keys, nil
}

// KafkaSecurity reads the environment variables for encryption and login at the brokers: SMARTLB_KAFKA_TLS_... and
// SMARTLB_KAFKA_SASL_...
func KafkaSecurity(getenv func(string) string) (kafka.Security, error) {
	d := Default()
	err := Environment(&d, func(name string) string {
		if strings.HasPrefix(name, "SMARTLB_KAFKA_TLS_") || strings.HasPrefix(name, "SMARTLB_KAFKA_SASL_") {
			return getenv(name)
		}
		return ""
	})
	return d.Kafka.Security(), err
}

// flatten maps the fields of a section by their part of the variable's name. Fields of nested structs are included:
// TLS_CA.
func flatten(v reflect.Value) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	for key, field := range fieldsOf(v) {
		if field.Kind() != reflect.Struct || field.Addr().Type().Implements(textType) {
			out[upperSnake(key)] = field
			continue
		}
		for inner, f := range flatten(field) {
			out[upperSnake(key)+"_"+inner] = f
		}
	}
	return out
}

// setText parses a value as the walk would. Lists are separated by commas.
func setText(field reflect.Value, value string) error {
	src := "v: " + quote(value)
	switch field.Kind() {
	case reflect.Slice:
		parts := strings.Split(value, ",")
		for i := range parts {
			parts[i] = quote(strings.TrimSpace(parts[i]))
		}
		src = "v: [" + strings.Join(parts, ", ") + "]"
	case reflect.Int, reflect.Float64, reflect.Bool:
		src = "v: " + value
	}
	file, err := yamlsafe.Parse([]byte(src), limits())
	if err != nil {
		return fmt.Errorf("not understood")
	}
	w := &walker{at: map[string]int{}}
	pairs, _ := pairsOf(file.Docs[0].Body)
	w.value(pairs[0].Value, field, "", 0)
	if len(w.mistakes) > 0 {
		return fmt.Errorf("%s", w.mistakes[0].Text)
	}
	return nil
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// upperSnake converts batchBytes to BATCH_BYTES.
func upperSnake(s string) string {
	var b strings.Builder
	for _, r := range s {
		if 'A' <= r && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// ErrBlank is the error about a document without content.
var ErrBlank = errors.New("the document is empty: it would leave nothing to serve")

// Blank reports whether a document has no content. No node applies such a revision.
func Blank(src []byte) bool { return len(bytes.TrimSpace(src)) == 0 }

// Check parses a Traffic document that is to be published. Its error is Mistakes.
func Check(src []byte) (Traffic, error) {
	if Blank(src) {
		return Traffic{}, Mistakes{{Line: 1, Text: ErrBlank.Error()}}
	}
	return parseTraffic(src, false)
}

// ForPublication checks a whole file and returns the part to publish: listeners, routes and services. Settings of a node
// (kafka, admin, console, ...) are not part of it. A file without any of the three is a mistake.
func ForPublication(src []byte) (part []byte, warnings Mistakes, err error) {
	d, err := Parse(src)
	if err != nil {
		return nil, nil, err
	}
	if part, err = TrafficPart(src); err != nil {
		return nil, nil, err
	}
	if d.Empty() {
		return nil, nil, Mistakes{{Line: 1, Text: "there are no listeners, routes or services: publishing the file would leave nothing to serve"}}
	}
	return part, d.Warnings, nil
}

// TrafficPart returns the Traffic keys of a whole file, including their comments. A node publishes this part as the
// first configuration.
func TrafficPart(src []byte) ([]byte, error) {
	file, err := yamlsafe.Parse(src, limits())
	if err != nil {
		return nil, Mistakes{syntaxMistake(err)}
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, nil
	}
	pairs, ok := pairsOf(file.Docs[0].Body)
	if !ok {
		return nil, nil
	}
	if m, flow := file.Docs[0].Body.(*ast.MappingNode); flow && m.IsFlowStyle {
		if _, err := ParseTraffic(src); err != nil {
			return nil, Mistakes{{Line: 1, Text: "write the keys of the document in lines of their own, not in braces: only listeners, routes and services are published"}}
		}
		return src, nil
	}
	allowed := fieldsOf(reflect.ValueOf(&Traffic{}).Elem())
	lines := strings.SplitAfter(string(src), "\n")
	var out strings.Builder
	for i, p := range pairs {
		if _, traffic := allowed[p.Key.GetToken().Value]; !traffic {
			continue
		}
		from, to := p.Key.GetToken().Position.Line-1, len(lines)
		if i+1 < len(pairs) {
			to = pairs[i+1].Key.GetToken().Position.Line - 1
		}
		for _, line := range lines[from:max(from, to)] {
			out.WriteString(line)
		}
	}
	part := []byte(out.String())
	if _, err := ParseTraffic(part); err != nil {
		return nil, err
	}
	return part, nil
}
