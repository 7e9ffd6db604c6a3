package filter

import (
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// bounded returns the options of a program in which every function is charged to b before it runs. The charge covers
// what the function reads and what it will allocate. Functions that are not named here allocate no more than the size
// of their arguments.
func bounded(env *cel.Env, b *budget) ([]cel.ProgramOption, error) {
	texts := &texts{budget: b}
	own := texts.functions()
	grown := growth()
	var all []*functions.Overload
	for name, declared := range env.Functions() {
		list, err := declared.Bindings()
		if err != nil {
			return nil, err
		}
		for _, o := range list {
			all = append(all, charged(o, b, name, grown[name], own[name]))
		}
	}
	return []cel.ProgramOption{
		//lint:ignore SA1019 cel.Function declares for an environment; these charge one program
		cel.Functions(all...),
		cel.CustomDecoratorV2(b.decorate),
	}, nil
}

// charged wraps one function. makes returns how many bytes the function allocates; nil: none. own replaces the
// function; nil: it stays.
func charged(o *functions.Overload, b *budget, name string, makes func(*budget, []ref.Val) int64, own functions.FunctionOp) *functions.Overload {
	before := func(args []ref.Val) {
		n := int64(nodeBytes)
		for _, a := range args {
			n += textSize(a)
		}
		b.scan(n)
		if makes != nil {
			b.allocate(makes(b, args))
		}
		switch name {
		case operators.In, operators.OldIn:
			b.compare(args[1], args[1])
		case overloads.TimeGetHours, overloads.TimeGetMinutes, overloads.TimeGetSeconds, overloads.TimeGetMilliseconds, overloads.TimeGetFullYear,
			overloads.TimeGetMonth, overloads.TimeGetDate, overloads.TimeGetDayOfMonth, overloads.TimeGetDayOfWeek, overloads.TimeGetDayOfYear:
			if len(args) > 1 {
				b.scan(zoneCost)
			}
		}
	}
	out := *o
	if f := o.Unary; f != nil {
		out.Unary = func(x ref.Val) ref.Val {
			before([]ref.Val{x})
			if own != nil {
				return own(x)
			}
			return f(x)
		}
	}
	if f := o.Binary; f != nil {
		out.Binary = func(x, y ref.Val) ref.Val {
			if arithmetic(name) {
				x, y = sameNumbers(x, y)
			}
			before([]ref.Val{x, y})
			if own != nil {
				return own(x, y)
			}
			return f(x, y)
		}
	}
	if f := o.Function; f != nil {
		out.Function = func(args ...ref.Val) ref.Val {
			before(args)
			if own != nil {
				return own(args...)
			}
			return f(args...)
		}
	}
	return &out
}

// zoneCost is charged for a time zone: its rules are read from a file.
const zoneCost = 64 << 10

func arithmetic(name string) bool {
	switch name {
	case operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo:
		return true
	}
	return false
}

// sameNumbers converts the operands of an arithmetic operator to one type. JSON may hold the same field as 150 in one
// message and as 150.5 in the next, so an integer beside a double becomes a double.
func sameNumbers(x, y ref.Val) (ref.Val, ref.Val) {
	_, xDouble := x.(types.Double)
	_, yDouble := y.(types.Double)
	switch {
	case xDouble != yDouble:
		return asDouble(x), asDouble(y)
	case xDouble:
		return x, y
	}
	if n, isInt := x.(types.Int); isInt && n >= 0 && y.Type() == types.UintType {
		return types.Uint(n), y
	}
	if n, isInt := y.(types.Int); isInt && n >= 0 && x.Type() == types.UintType {
		return x, types.Uint(n)
	}
	return x, y
}

func asDouble(v ref.Val) ref.Val {
	switch n := v.(type) {
	case types.Int:
		return types.Double(n)
	case types.Uint:
		return types.Double(n)
	}
	return v
}

// growth returns, for each function whose result can be large, the most bytes that it allocates for its arguments.
func growth() map[string]func(*budget, []ref.Val) int64 {
	texts := func(factor int64) func(*budget, []ref.Val) int64 {
		return func(_ *budget, args []ref.Val) int64 { return times(factor, textSize(args[0])) }
	}
	return map[string]func(*budget, []ref.Val) int64{
		operators.Add:               added,
		"replace":                   replaced,
		"split":                     parts,
		"join":                      joined,
		"format":                    formatted,
		"strings.quote":             texts(6), // each byte is escaped, or becomes U+FFFD, and the builders grow
		"lowerAscii":                texts(1),
		"upperAscii":                texts(1),
		"reverse":                   texts(1),
		overloads.TypeConvertString: texts(1),
		overloads.TypeConvertBytes:  texts(1),
		"optional.unwrap":           func(_ *budget, args []ref.Val) int64 { return nodeBytes * length(args[0]) },
		"unwrapOpt":                 func(_ *budget, args []ref.Val) int64 { return nodeBytes * length(args[0]) },
	}
}

// added returns the charge for +. A list sum is a view of its two halves, but is charged as if it were copied. The list
// that a macro collects into grows in place.
func added(b *budget, args []ref.Val) int64 {
	if _, collects := args[0].(traits.MutableLister); collects {
		return nodeBytes * length(args[1])
	}
	for _, a := range args {
		if _, isList := a.(traits.Lister); isList {
			b.hold(a)
		}
	}
	return textSize(args[0]) + textSize(args[1])
}

func length(v ref.Val) int64 {
	if s, ok := v.(traits.Sizer); ok {
		if n, ok := s.Size().(types.Int); ok {
			return int64(n)
		}
	}
	return 0
}

func replaced(_ *budget, args []ref.Val) int64 {
	in, old, with := textOf(args[0]), textOf(args[1]), textOf(args[2])
	n := int64(strings.Count(in, old))
	if len(args) > 3 {
		if most, ok := args[3].(types.Int); ok && most >= 0 {
			n = min(n, int64(most))
		}
	}
	return int64(len(in)) + times(n, int64(len(with)))
}

func parts(_ *budget, args []ref.Val) int64 {
	n := int64(strings.Count(textOf(args[0]), textOf(args[1])))
	if len(args) > 2 {
		if most, ok := args[2].(types.Int); ok && most >= 0 {
			n = min(n, int64(most))
		}
	}
	return nodeBytes * (n + 1)
}

func joined(b *budget, args []ref.Val) int64 {
	list, ok := args[0].(traits.Lister)
	if !ok {
		return 0
	}
	n, between := int64(0), int64(0)
	if len(args) > 1 {
		between = textSize(args[1])
	}
	for it := list.Iterator(); it.HasNext() == types.True; {
		b.scan(nodeBytes)
		if n += textSize(it.Next()) + between; n > maxAllocated {
			return n
		}
	}
	return 2 * n // the builder grows
}

// formatted returns the charge for format: each clause shows one argument with all its parts. %x doubles a text, and
// the longest number is a double.
func formatted(b *budget, args []ref.Val) int64 {
	const longestNumber = 450 // 309 digits before the point of %f, and a hundred after it
	n := textSize(args[0])
	walk(args[1], func(part ref.Val) {
		b.scan(nodeBytes)
		size := int64(64)
		if part.Type() == types.DoubleType {
			size = longestNumber
		}
		if n += size + 2*textSize(part); n > maxAllocated {
			b.allocate(n)
		}
	})
	return 2 * n
}

func textOf(v ref.Val) string {
	s, _ := v.(types.String)
	return string(s)
}

// decorate charges operations that are not functions: comparisons, and literals of lists and maps, which can hold the
// same part twice without a copy.
func (b *budget) decorate(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	switch node := i.(type) {
	case interpreter.InterpretableConstructor:
		return &literal{node, b}, nil
	case interpreter.InterpretableCall:
		switch node.Function() {
		case operators.Equals:
			return b.comparison(node, func(x, y ref.Val) ref.Val { return types.Equal(x, y) }), nil
		case operators.NotEquals:
			return b.comparison(node, func(x, y ref.Val) ref.Val { return types.Bool(types.Equal(x, y) != types.True) }), nil
		}
	}
	return i, nil
}

func (b *budget) comparison(call interpreter.InterpretableCall, f functions.BinaryOp) interpreter.InterpretableV2 {
	return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(args ...ref.Val) ref.Val {
		b.compare(args[0], args[1])
		return f(args[0], args[1])
	})
}

// literal is a list or map literal of an expression.
type literal struct {
	interpreter.InterpretableConstructor
	budget *budget
}

// Exec evaluates the literal and charges its content.
func (l *literal) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	v := l.InterpretableConstructor.Exec(frame)
	if compound(v) {
		l.budget.hold(v)
	}
	return v
}

// Eval evaluates the literal and charges its content.
func (l *literal) Eval(a interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(a, l.Exec)
}
