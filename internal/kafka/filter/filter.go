package filter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
)

// Record is the input of a filter.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Timestamp time.Time
	Key       []byte // nil: none
	Value     []byte // nil: a tombstone
	Headers   []Header

	doc  any // the value as expressions use it, once it was parsed
	err  error
	read bool
}

// Header is one header of a record. Several headers may have the same key.
type Header struct {
	Key   string
	Value []byte
}

// document returns the value, parsed once for all terms.
func (r *Record) document() (any, error) {
	if !r.read {
		r.doc, r.err = document(r.Value)
		r.read = true
	}
	return r.doc, r.err
}

// Filter selects records. Make one with Compile. It is safe for concurrent use; evaluations run one at a time.
type Filter struct {
	uses map[string]bool

	mu      sync.Mutex // guards the next two fields during an evaluation
	program cel.Program
	budget  *budget

	undecided atomic.Int64
	why       atomic.Pointer[string]
}

// maxCost bounds the work for one record to a fifth of a second. A usual expression over a message of ten thousand
// fields costs far less.
const maxCost = 5_000_000

// Bounds of an expression before its types are checked. The time of that check grows with the third power of the
// nesting of lists.
const (
	maxSource  = 16 << 10 // bytes
	maxNodes   = 5000     // including those that macros expand to
	maxNesting = 100      // nesting of any kind
	maxLists   = 16       // nesting of lists, maps and macros over them
	maxWhy     = 500      // bytes of a displayed reason
	maxListed  = 20       // mistakes that are reported
)

// variables returns the names that an expression may use.
func variables() map[string]*cel.Type {
	return map[string]*cel.Type{
		"topic": cel.StringType, "partition": cel.IntType, "offset": cel.IntType, "timestamp": cel.TimestampType,
		"key": cel.DynType, "value": cel.DynType, "text": cel.StringType, "size": cel.IntType,
		"headers": cel.MapType(cel.StringType, cel.StringType),
	}
}

// Mistake is one error in an expression, with its position.
type Mistake struct {
	Line   int // from 1; 0: the whole expression
	Column int // in characters, from 1
	Text   string
}

func (m *Mistake) Error() string {
	if m.Line == 0 {
		return "filter: " + m.Text
	}
	return fmt.Sprintf("filter: column %d:%d: %s", m.Line, m.Column, m.Text)
}

// Compile checks an expression. The error is a Mistake, or joins one Mistake per error.
func Compile(source string) (*Filter, error) {
	if len(source) > maxSource {
		return nil, &Mistake{Text: fmt.Sprintf("%d bytes are more than %d", len(source), maxSource)}
	}
	if strings.TrimSpace(source) == "" {
		return nil, &Mistake{Text: "the expression is empty"}
	}
	opts := []cel.EnvOption{
		cel.CrossTypeNumericComparisons(true), ext.Strings(), cel.OptionalTypes(),
		cel.ParserRecursionLimit(maxNesting), cel.ExpressionNodeLimit(maxNodes), cel.ParserErrorRecoveryLimit(maxListed),
	}
	for name, t := range variables() {
		opts = append(opts, cel.Variable(name, t))
	}
	env, err := cel.NewEnv(opts...)
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	parsed, issues := env.Parse(source)
	if issues.Err() != nil {
		return nil, mistakes(issues)
	}
	if lists(parsed.NativeRep().Expr()) > maxLists {
		return nil, &Mistake{Text: fmt.Sprintf("lists and macros are nested more than %d deep", maxLists)}
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, mistakes(issues)
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, &Mistake{Text: fmt.Sprintf("the result is of type %s; it must be true or false", t)}
	}
	f := &Filter{uses: map[string]bool{}, budget: &budget{}}
	limits, err := bounded(env, f.budget)
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	if f.program, err = env.Program(checked, append(limits, cel.CostLimit(maxCost))...); err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	for _, ref := range checked.NativeRep().ReferenceMap() {
		f.uses[ref.Name] = true
	}
	return f, nil
}

// plain shortens what the parser says of a syntax error: it lists every token that would do.
func plain(text string) string {
	if strings.Contains(text, "mismatched input '<EOF>'") {
		return "the expression ends where a value is expected"
	}
	text, _, _ = strings.Cut(text, ", expecting {")
	text, _, _ = strings.Cut(text, " expecting {")
	return text
}

// mistakes returns the first errors that CEL found.
func mistakes(issues *cel.Issues) error {
	var all []error
	for _, e := range issues.Errors() {
		m := &Mistake{Line: max(e.Location.Line(), 0), Column: e.Location.Column() + 1, Text: cut(plain(e.Message))}
		if all = append(all, m); len(all) == maxListed {
			break
		}
	}
	return errors.Join(all...)
}

// cut shortens a text from CEL, which repeats its input.
func cut(s string) string {
	if len(s) > maxWhy {
		return strings.ToValidUTF8(s[:maxWhy], "") + "..."
	}
	return s
}

// lists returns the nesting depth of lists, maps and macros over them in e.
func lists(e ast.Expr) int {
	deepest := func(all ...ast.Expr) (n int) {
		for _, e := range all {
			n = max(n, lists(e))
		}
		return n
	}
	switch e.Kind() {
	case ast.CallKind:
		call := e.AsCall()
		n := deepest(call.Args()...)
		if call.IsMemberFunction() {
			n = max(n, lists(call.Target()))
		}
		return n
	case ast.SelectKind:
		return lists(e.AsSelect().Operand())
	case ast.ListKind:
		return 1 + deepest(e.AsList().Elements()...)
	case ast.MapKind:
		n := 0
		for _, entry := range e.AsMap().Entries() {
			n = max(n, deepest(entry.AsMapEntry().Key(), entry.AsMapEntry().Value()))
		}
		return 1 + n
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		return 1 + deepest(c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result())
	}
	return 0
}

// Match reports whether the filter is true of r. A record for which the result is neither true nor false (a field is
// missing, a type differs, it costs too much) does not match, and is counted. The error is that of ctx if it ended
// before the filter was done with r.
func (f *Filter) Match(ctx context.Context, r Record) (bool, error) { return f.match(ctx, &r) }

func (f *Filter) match(ctx context.Context, r *Record) (bool, error) {
	yes, err := f.evaluate(ctx, r)
	if ended := context.Cause(ctx); ended != nil {
		return false, ended
	}
	if err != nil {
		f.undecided.Add(1)
		if f.why.Load() == nil {
			text := cut(err.Error())
			f.why.CompareAndSwap(nil, &text)
		}
	}
	return yes, nil
}

func (f *Filter) evaluate(ctx context.Context, r *Record) (bool, error) {
	if ctx.Err() != nil {
		return false, nil
	}
	vars, err := f.vars(r)
	if err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.budget.begin(ctx)
	defer f.budget.end()
	out, _, err := f.program.Eval(vars)
	if err != nil {
		return false, err
	}
	yes, isBool := out.(types.Bool)
	if !isBool {
		return false, errors.New("the result is neither true nor false")
	}
	return bool(yes), nil
}

// Undecided returns the number of records for which the filter was neither true nor false, and the reason for the first
// of them.
func (f *Filter) Undecided() (n int64, why string) {
	if text := f.why.Load(); text != nil {
		why = *text
	}
	return f.undecided.Load(), why
}

// vars returns only the variables that the expression uses: decoding JSON is most of the cost.
func (f *Filter) vars(r *Record) (_ map[string]any, err error) {
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
			if vars[name], err = r.document(); err != nil {
				return nil, err
			}
		case "text":
			vars[name] = string(r.Value)
		case "size":
			vars[name] = int64(len(r.Value))
		case "headers":
			headers := make(map[string]string, len(r.Headers)) // the last header with a key counts
			for _, h := range r.Headers {
				headers[h.Key] = string(h.Value)
			}
			vars[name] = headers
		}
	}
	return vars, nil
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
