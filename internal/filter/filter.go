package filter

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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
	Headers   map[string]string
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

// Compile checks an expression; the error points at the mistake.
func Compile(source string) (*Filter, error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("filter: %d characters are more than %d", len(source), maxSource)
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
	if err := issues.Err(); err != nil {
		return nil, fmt.Errorf("filter: %s", strings.TrimPrefix(strings.ReplaceAll(err.Error(), "<input>", "column"), "ERROR: "))
	}
	if t := ast.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("filter: the result is a %s, and true or false is needed", t)
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
func (f *Filter) Match(r Record) bool {
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
func (f *Filter) vars(r Record) map[string]any {
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
			vars[name] = document(r.Value)
		case "text":
			vars[name] = string(r.Value)
		case "size":
			vars[name] = int64(len(r.Value))
		case "headers":
			vars[name] = r.Headers
			if r.Headers == nil {
				vars[name] = map[string]string{}
			}
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
