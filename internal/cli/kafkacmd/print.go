package kafkacmd

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/base/yamlsafe"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/records"
)

// printer returns a function that writes one record in the given form.
func printer(w io.Writer, form string) (func(kafka.Record) error, error) {
	if source, ok := strings.CutPrefix(form, "template="); ok {
		return templatePrinter(w, source)
	}
	switch form {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return func(r kafka.Record) error { return enc.Encode(records.MessageOf(r)) }, nil
	case "yaml":
		return func(r kafka.Record) error {
			b, err := json.Marshal(records.MessageOf(r))
			if err == nil {
				b, err = yamlsafe.FromJSON(b, yamlsafe.Small())
			}
			if err == nil {
				_, err = fmt.Fprintf(w, "---\n%s", b)
			}
			return err
		}, nil
	case "table", "wide":
		return func(r kafka.Record) error { return line(w, r, form == "wide") }, nil
	default:
		return func(r kafka.Record) error {
			if _, err := w.Write(r.Value); err != nil {
				return err
			}
			_, err := io.WriteString(w, "\n")
			return err
		}, nil
	}
}

// line writes the position and the content of a record on one line.
func line(w io.Writer, r kafka.Record, wide bool) error {
	_, err := fmt.Fprintf(w, "%d:%d\t%s\t%s\t", r.Partition, r.Offset, readable.Time(r.Timestamp), shown(r.Key))
	if err == nil && wide {
		for _, h := range r.Headers {
			if _, err = fmt.Fprintf(w, "%s=%s ", shown([]byte(h.Key)), shown(h.Value)); err != nil {
				return err
			}
		}
		_, err = io.WriteString(w, "\t")
	}
	if err == nil {
		_, err = fmt.Fprintln(w, shown(r.Value))
	}
	return err
}

// shown converts bytes to text that is safe on one line of a terminal.
func shown(b []byte) string {
	if b == nil {
		return "-"
	}
	quoted := strconv.Quote(string(b))
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// templated holds the fields of a record for a template.
type templated struct {
	Topic     string
	Partition int32
	Offset    int64
	Timestamp time.Time
	Key       string
	Value     string
	Headers   map[string]string
	Tombstone bool // the record has no value; an empty value is not a tombstone
	record    kafka.Record
}

func templatePrinter(w io.Writer, source string) (func(kafka.Record) error, error) {
	source = strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(source)
	t, err := template.New("-o").Option("missingkey=zero").Funcs(template.FuncMap{
		"json": func(v any) (string, error) {
			if r, ok := v.(templated); ok {
				v = records.MessageOf(r.record)
			}
			b, err := json.Marshal(v)
			return string(b), err
		},
		// parse decodes a value as JSON: {{(parse .Value).metrics.rps}}.
		"parse": func(s string) (any, error) {
			var v any
			err := json.Unmarshal([]byte(s), &v)
			return v, err
		},
	}).Parse(source)
	if err != nil {
		return nil, cli.Usagef("-o template: %w", err)
	}
	return func(r kafka.Record) error {
		seen := templated{
			Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UTC(),
			Key: string(r.Key), Value: string(r.Value), Headers: map[string]string{}, Tombstone: r.Value == nil, record: r,
		}
		for _, h := range r.Headers {
			seen.Headers[h.Key] = string(h.Value)
		}
		if err := t.Execute(w, seen); err != nil {
			return fmt.Errorf("partition %d, offset %d: %w", r.Partition, r.Offset, err)
		}
		_, err := io.WriteString(w, "\n")
		return err
	}, nil
}
