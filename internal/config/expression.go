package config

import (
	"fmt"
	"regexp/syntax"
)

// Bounds of the regular expressions of a document: RE2 takes linear time, but
// (a{100}){10} is small to write and large to keep.
const (
	maxExpressions  = 2000   // in a document
	maxInstructions = 20_000 // of one compiled expression
	maxAllPrograms  = 500_000
)

// expressions counts the regular expressions of a document.
type expressions struct{ count, instructions int }

// add checks an expression; an empty one is none.
func (e *expressions) add(source string) error {
	if source == "" {
		return nil
	}
	if e.count++; e.count > maxExpressions {
		return fmt.Errorf("a document may have %d regular expressions; use prefixes, or exact paths", maxExpressions)
	}
	parsed, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return err
	}
	if n := len(program.Inst); n > maxInstructions {
		return fmt.Errorf("compiles to %d instructions, at most %d are allowed: shorten its repetitions", n, maxInstructions)
	}
	if e.instructions += len(program.Inst); e.instructions > maxAllPrograms {
		return fmt.Errorf("the regular expressions of the document compile to more than %d instructions", maxAllPrograms)
	}
	return nil
}
