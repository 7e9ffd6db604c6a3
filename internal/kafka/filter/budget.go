package filter

import (
	"context"
	"fmt"
	"math"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// Bounds of one evaluation, besides maxCost. CEL counts the cost of a call after the call, and counts values that share
// parts only once. These bounds are checked before anything is allocated or compared.
const (
	maxAllocated = 32 << 20 // bytes that functions and literals allocate; three copies of the largest message
	maxScanned   = 1 << 29  // bytes that are read, compared or matched; about one second
	nodeBytes    = 16       // size of a value inside a list or a map
)

// budget is what remains for one evaluation. A charge that exceeds it ends the evaluation with an error, which ||
// cannot hide.
type budget struct {
	allocated, scanned int64
	ctx                context.Context
}

// begin resets the budget for a new evaluation. ctx ends the evaluation early.
func (b *budget) begin(ctx context.Context) {
	b.allocated, b.scanned, b.ctx = maxAllocated, maxScanned, ctx
}

// end forgets the context of the evaluation.
func (b *budget) end() { b.ctx = nil }

// allocate charges n bytes before they are allocated.
func (b *budget) allocate(n int64) {
	if n < 0 || n > b.allocated {
		stop("it needs more than %d MiB of memory", maxAllocated>>20)
	}
	b.allocated -= n
	b.scan(n)
}

// scan charges n bytes before they are read.
func (b *budget) scan(n int64) {
	if n < 0 || n > b.scanned {
		stop("it reads more than %d MiB", maxScanned>>20)
	}
	if b.scanned>>checkShift != (b.scanned-n)>>checkShift && b.ctx != nil && b.ctx.Err() != nil {
		stop("%v", context.Cause(b.ctx))
	}
	b.scanned -= n
}

// checkShift: the context is checked every 2^20 bytes.
const checkShift = 20

// stop ends an evaluation; cel.Program.Eval returns the error.
func stop(format string, args ...any) {
	panic(interpreter.EvalCancelledError{Cause: interpreter.CostLimitExceeded, Message: "the expression costs too much: " + fmt.Sprintf(format, args...)})
}

// times multiplies without overflow.
func times(a, b int64) int64 {
	if a > 0 && b > math.MaxInt64/a {
		return math.MaxInt64
	}
	return a * b
}

// textSize returns the length of a string or of bytes; 0 for other values.
func textSize(v ref.Val) int64 {
	switch v := v.(type) {
	case types.String:
		return int64(len(v))
	case types.Bytes:
		return int64(len(v))
	}
	return 0
}

// compound reports whether a value has parts.
func compound(v ref.Val) bool {
	switch v.(type) {
	case traits.Lister, traits.Mapper, *types.Optional:
		return true
	}
	return false
}

// walk visits v and all its parts, each as often as it occurs. A charge in visit can end the walk.
func walk(v ref.Val, visit func(ref.Val)) {
	visit(v)
	switch v := v.(type) {
	case traits.Mapper:
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			visit(key)
			if inner, found := v.Find(key); found {
				walk(inner, visit)
			}
		}
	case traits.Lister:
		for it := v.Iterator(); it.HasNext() == types.True; {
			walk(it.Next(), visit)
		}
	case *types.Optional:
		if v.HasValue() {
			walk(v.GetValue(), visit)
		}
	}
}

// hold charges a list or a map for its content: the memory of its nodes, and the cost of comparing all of it. [x, x] is
// charged for both.
func (b *budget) hold(v ref.Val) {
	walk(v, func(part ref.Val) {
		b.allocate(nodeBytes)
		b.scan(textSize(part))
	})
}

// compare charges a comparison of two values.
func (b *budget) compare(x, y ref.Val) {
	if !compound(x) || !compound(y) {
		b.scan(nodeBytes + min(textSize(x), textSize(y)))
		return
	}
	walk(x, func(part ref.Val) { b.scan(nodeBytes + textSize(part)) })
}
