package topic

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// unit is a name for a number of base units (milliseconds, bytes).
type unit struct {
	name  string
	aka   string // other spellings, separated by spaces, lower case
	worth int64
}

// timeUnits and byteUnits are ordered from the largest to the smallest.
func timeUnits() []unit {
	return []unit{
		{"d", "day days", 86_400_000}, {"h", "hour hours", 3_600_000}, {"min", "m minute minutes", 60_000},
		{"s", "sec second seconds", 1000}, {"ms", "", 1},
	}
}

func byteUnits() []unit {
	return []unit{
		{"TiB", "t tb", 1 << 40}, {"GiB", "g gb", 1 << 30}, {"MiB", "m mb", 1 << 20}, {"KiB", "k kb", 1 << 10}, {"B", "byte bytes", 1},
	}
}

// unitsOf returns the units of a configuration; nil if it is neither a time nor a size.
func unitsOf(key string) []unit {
	switch {
	case strings.HasSuffix(key, ".ms") || strings.HasSuffix(key, ".ms.max") || key == "ms":
		return timeUnits()
	case strings.HasSuffix(key, ".bytes") || key == "bytes":
		return byteUnits()
	}
	return nil
}

// Human formats the value of a configuration for display: "7 d", "11 MiB", "unlimited". Values that are neither a time
// nor a size stay as they are.
func Human(key, value string) string {
	units := unitsOf(key)
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case units == nil || err != nil:
		return value
	case n == -1 || n == math.MaxInt64:
		return "unlimited"
	case n <= 0:
		return value
	}
	for _, u := range units {
		if n >= u.worth && n%u.worth == 0 {
			return fmt.Sprintf("%d %s", n/u.worth, u.name)
		}
		if rest := n % u.worth; n >= u.worth && rest*100%u.worth == 0 {
			return fmt.Sprintf("%s %s", strconv.FormatFloat(float64(n)/float64(u.worth), 'f', -1, 64), u.name)
		}
	}
	return value
}

// FromHuman converts a value with units to Kafka's units: "7d" of a time is 604800000, "11 MiB" of a size 11534336,
// "unlimited" -1. Multiples are binary, as in Kafka's own defaults. Other values stay as they are; CheckConfig
// validates them.
func FromHuman(key, value string) string {
	units := unitsOf(key)
	text := strings.ToLower(strings.TrimSpace(value))
	if units == nil || text == "" {
		return value
	}
	if text == "unlimited" || text == "forever" {
		return "-1"
	}
	split := strings.IndexFunc(text, func(r rune) bool { return r >= 'a' && r <= 'z' })
	if split < 0 {
		return strings.TrimSpace(value)
	}
	number := strings.TrimSpace(text[:split])
	// The length is bounded because a rational number keeps every digit. It cannot have an exponent, because letters
	// begin the unit.
	if len(number) > 32 {
		return value
	}
	n, ok := new(big.Rat).SetString(number)
	if !ok || n.Sign() < 0 || strings.Contains(number, "/") {
		return value
	}
	for _, u := range units {
		name := text[split:]
		if name == strings.ToLower(u.name) || (u.aka != "" && contains(u.aka, name)) {
			total := n.Mul(n, new(big.Rat).SetInt64(u.worth))
			if !total.IsInt() || total.Num().BitLen() > 53 {
				return value
			}
			return total.Num().String()
		}
	}
	return value
}

func contains(words, word string) bool {
	for w := range strings.FieldsSeq(words) {
		if w == word {
			return true
		}
	}
	return false
}
