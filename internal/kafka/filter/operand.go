package filter

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// operand is the right side of a comparison.
type operand struct {
	text  string
	num   any // int64, uint64 or float64; nil: not a number
	lit   any // true, false or nil if isLit
	isLit bool
}

// parseOperand parses the text after an operator. Text needs no quotes if it cannot be mistaken for another type.
func parseOperand(op, text string) (operand, error) {
	if text == "" {
		return operand{}, errors.New("there is nothing to compare with")
	}
	inner, quoted, err := quotedText(text)
	if err != nil {
		return operand{}, err
	}
	o := operand{text: inner}
	if quoted || op == "~" {
		return o, nil
	}
	if o.num, err = writtenNumber(text); o.num != nil || err != nil {
		return o, err
	}
	switch text {
	case "true", "false":
		o.lit, o.isLit = text == "true", true
	case "null":
		o.isLit = true
	}
	orders := op != "==" && op != "!="
	switch {
	case o.isLit && orders:
		return o, errors.New(text + " has no order")
	case o.isLit:
		return o, nil
	}
	return o, mistaken(text, orders)
}

// quotedText removes quotes: double quotes, or single quotes as CEL allows.
func quotedText(s string) (inner string, quoted bool, err error) {
	if q := s[0]; q == '"' || q == '\'' {
		if len(s) < 2 || s[len(s)-1] != q {
			return s, false, errors.New("a quote is not closed")
		}
		return s[1 : len(s)-1], true, nil
	}
	return s, false, nil
}

// writtenNumber parses a number in common notation: .9, 5. and +5 besides the forms of JSON. nil: not a number.
func writtenNumber(s string) (any, error) {
	if strings.Trim(s, "0123456789+-.eE") != "" || strings.Trim(s, "+-.eE") == "" {
		return nil, nil
	}
	text := strings.TrimPrefix(s, "+")
	if isInteger(text) {
		n, ok := number(text)
		if _, rounded := n.(float64); ok && rounded {
			return nil, fmt.Errorf("the integer %s has more than 64 bits, and cannot be compared exactly; %s.0 compares rounded", s, s)
		}
		if !ok {
			return nil, nil
		}
		return n, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return nil, fmt.Errorf("the number %s is too large", s)
	case err != nil:
		return nil, nil // 1.2.3, 2026-01-02
	}
	return f, nil
}

// mistaken returns an error for an operand without quotes that was probably meant as another type.
func mistaken(text string, orders bool) error {
	lower := strings.ToLower(text)
	instead := func(means string) error {
		return fmt.Errorf("%s is no number: write %s, or %q in quotes to compare text", text, means, text)
	}
	switch {
	case strings.ContainsAny(text[:1], "=<>!~&|"):
		return fmt.Errorf("%q is not expected behind the operator; text that begins so needs quotes", text)
	case strings.Contains(text, "&&") || strings.Contains(text, "||"):
		return errors.New("only one comparison is possible here; combine several with an expression (where)")
	case lower == "true" || lower == "false" || lower == "null":
		return fmt.Errorf("%s is written %s in JSON; as text it needs quotes: %q", text, lower, text)
	case lower == "none" || lower == "nil":
		return fmt.Errorf("%s is no value of JSON: write null, or %q in quotes to compare text", text, text)
	}
	if number, isPercent := strings.CutSuffix(text, "%"); isPercent {
		if f, err := strconv.ParseFloat(strings.TrimSpace(number), 64); err == nil {
			return instead(strconv.FormatFloat(f/100, 'g', 12, 64))
		}
	}
	if regexp.MustCompile(`^[+-]?[1-9]\d{0,2}([_ ,']\d{3})+(\.\d+)?$`).MatchString(text) {
		return instead(strings.NewReplacer("_", "", " ", "", ",", "", "'", "").Replace(text))
	}
	if regexp.MustCompile(`^[+-]?\d*,\d+$`).MatchString(text) {
		return instead(strings.Replace(text, ",", ".", 1))
	}
	if !orders {
		return nil
	}
	if m := regexp.MustCompile(`^([+-]?\d*\.?\d+)\s*[a-zA-Zµ°/]`).FindStringSubmatch(text); m != nil && !strings.ContainsAny(text, ":-") {
		return instead("a number without a unit, such as " + m[1])
	}
	if lower == "nan" || strings.Contains(lower, "inf") && strings.Trim(lower, "+-infty") == "" {
		return instead("a number")
	}
	return nil
}
