package filter

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
)

// Record is what a filter looks at.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Timestamp time.Time
	Key       []byte // nil: none
	Value     []byte // nil: a tombstone
	Headers   []Header

	doc  any // the value as an expression sees it, once somebody asked
	read bool
}

// Header is one header of a record. A key may be there more than once.
type Header struct {
	Key   string
	Value []byte
}

// document is the value, parsed once for all who ask.
func (r *Record) document() any {
	if !r.read {
		r.doc, r.read = document(r.Value), true
	}
	return r.doc
}

// Filter decides about records. Make one with Compile. It is safe for
// concurrent use.
type Filter struct {
	program cel.Program
	uses    map[string]bool

	undecided atomic.Int64
	why       atomic.Pointer[string]
}

// maxCost bounds the work for one record; an honest expression over a message
// of ten thousand fields stays far below it.
const maxCost = 5_000_000

// maxSource bounds the length of an expression.
const maxSource = 64 << 10

// variables are the names that an expression may use.
func variables() map[string]*cel.Type {
	return map[string]*cel.Type{
		"topic": cel.StringType, "partition": cel.IntType, "offset": cel.IntType, "timestamp": cel.TimestampType,
		"key": cel.DynType, "value": cel.DynType, "text": cel.StringType, "size": cel.IntType,
		"headers": cel.MapType(cel.StringType, cel.StringType),
	}
}

// Mistake is what is wrong with an expression, and where.
type Mistake struct {
	Line   int // from 1; 0: of the whole
	Column int // in characters, from 1
	Text   string
}

func (m *Mistake) Error() string {
	if m.Line == 0 {
		return "filter: " + m.Text
	}
	return fmt.Sprintf("filter: column %d:%d: %s", m.Line, m.Column, m.Text)
}

// Compile checks an expression. The error is, or joins, a Mistake for each
// thing that is wrong.
func Compile(source string) (*Filter, error) {
	if len(source) > maxSource {
		return nil, &Mistake{Text: fmt.Sprintf("%d characters are more than %d", len(source), maxSource)}
	}
	opts := []cel.EnvOption{cel.CrossTypeNumericComparisons(true), ext.Strings(), cel.OptionalTypes()}
	for name, t := range variables() {
		opts = append(opts, cel.Variable(name, t))
	}
	env, err := cel.NewEnv(opts...)
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	ast, issues := env.Compile(source)
	if issues.Err() != nil {
		var all []error
		for _, e := range issues.Errors() {
			all = append(all, &Mistake{Line: e.Location.Line(), Column: e.Location.Column() + 1, Text: e.Message})
		}
		return nil, errors.Join(all...)
	}
	if t := ast.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, &Mistake{Text: fmt.Sprintf("the result is a %s, and true or false is needed", t)}
	}
	program, err := env.Program(ast, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	f := &Filter{program: program, uses: map[string]bool{}}
	for _, ref := range ast.NativeRep().ReferenceMap() {
		f.uses[ref.Name] = true
	}
	return f, nil
}

// Match reports whether the filter is true of r. A record of which it is
// neither true nor false (a field is missing, a type is another) does not
// match, and is counted.
func (f *Filter) Match(r Record) bool { return f.match(&r) }

func (f *Filter) match(r *Record) bool {
	out, _, err := f.program.Eval(f.vars(r))
	if err == nil {
		yes, isBool := out.(types.Bool)
		if isBool {
			return bool(yes)
		}
		err = errors.New("the result is neither true nor false")
	}
	f.undecided.Add(1)
	if f.why.Load() == nil {
		text := err.Error()
		f.why.CompareAndSwap(nil, &text)
	}
	return false
}

// Undecided is how many records the filter was neither true nor false of, and
// why the first of them was.
func (f *Filter) Undecided() (n int64, why string) {
	if text := f.why.Load(); text != nil {
		why = *text
	}
	return f.undecided.Load(), why
}

// vars gives only what the expression uses: decoding JSON is most of the cost.
func (f *Filter) vars(r *Record) map[string]any {
	vars := make(map[string]any, len(f.uses))
	for name := range f.uses {
		switch name {
		case "topic":
			vars[name] = r.Topic
		case "partition":
			vars[name] = int64(r.Partition)
		case "offset":
			vars[name] = r.Offset
		case "timestamp":
			vars[name] = r.Timestamp
		case "key":
			vars[name] = textOrNull(r.Key)
		case "value":
			vars[name] = r.document()
		case "text":
			vars[name] = string(r.Value)
		case "size":
			vars[name] = int64(len(r.Value))
		case "headers":
			headers := make(map[string]string, len(r.Headers)) // the last of a key counts
			for _, h := range r.Headers {
				headers[h.Key] = string(h.Value)
			}
			vars[name] = headers
		}
	}
	return vars
}

func textOrNull(b []byte) any {
	switch {
	case b == nil:
		return types.NullValue
	case utf8.Valid(b):
		return string(b)
	default:
		return b
	}
}

// document is a value as an expression sees it: what its JSON says, else its
// text, else its bytes.
func document(b []byte) any {
	var doc any
	if b == nil {
		return types.NullValue
	}
	if json.Unmarshal(b, &doc) == nil {
		if doc == nil {
			return types.NullValue
		}
		return doc
	}
	return textOrNull(b)
}
