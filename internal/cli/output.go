package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/base/yamlsafe"
)

// None is the result of a verb without a result, or of a verb that wrote its data itself.
type None struct{}

// Table is a result in the form for people.
type Table struct {
	Above []string   // lines before the table
	Head  []string   // column names; empty: print the rows without names
	Rows  [][]string // as many cells as Head, if Head is set
	Wide  int        // number of last columns that only -o wide shows
	Below []string   // lines after the table
}

// print writes a result in the form that -o selects.
func (e *Env) print(result any, table func() Table) error {
	if _, none := result.(None); none {
		return nil
	}
	switch e.Output {
	case "json":
		return printJSON(e.Out, result)
	case "yaml":
		b, err := json.Marshal(result)
		if err != nil {
			return fmt.Errorf("print: %w", err)
		}
		if b, err = yamlsafe.FromJSON(readable.JSON(b), yamlsafe.Small()); err != nil {
			return fmt.Errorf("print: %w", err)
		}
		_, err = e.Out.Write(b)
		return err
	default:
		return table().write(e.Out, e.Output == "wide")
	}
}

func printJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(readable.JSON(b.Bytes()))
	return err
}

func (t Table) write(w io.Writer, wide bool) error {
	for _, line := range t.Above {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	if len(t.Head)+len(t.Rows) > 0 {
		if err := t.columns(w, wide); err != nil {
			return err
		}
	}
	for _, line := range t.Below {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

func (t Table) columns(w io.Writer, wide bool) error {
	rows := t.Rows
	if len(t.Head) > 0 {
		rows = append([][]string{t.Head}, rows...)
	}
	n := len(rows[0])
	if !wide {
		n -= t.Wide
	}
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, row := range rows {
		cells := make([]string, 0, n)
		for _, c := range row[:min(n, len(row))] {
			cells = append(cells, oneLine(c))
		}
		if _, err := fmt.Fprintln(tw, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return tw.Flush()
}

// Print writes one of several results of a verb in the form that -o selects.
func (e *Env) Print(result any, table func() Table) error { return e.print(result, table) }

// OneLine replaces characters in external text that could move the terminal's cursor.
func OneLine(s string) string { return oneLine(s) }

// oneLine replaces characters in external text that could move cells or the terminal's cursor.
func oneLine(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0):
			return -1
		}
		return r
	}, s)
}
