package browse

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/filter"
)

// Limits of a query. The defaults protect a broker from an accidental large search; a user may raise them.
const (
	DefaultLimit   = 100
	MaxLimit       = 1000
	DefaultBytes   = 64 << 20
	MaxBytes       = 16 << 30
	DefaultTime    = 30 * time.Second
	MaxTime        = 10 * time.Minute
	DefaultPreview = 4 << 10
)

// ErrQuery is wrapped by errors about the query itself.
var ErrQuery = errors.New("query")

// ParseQuery parses a query from the parameters of a URL, so that a link can hold a search. It reports every mistake.
func ParseQuery(topic string, v url.Values, now time.Time) (Query, error) {
	q := Query{Topic: topic}
	p := &queryParser{v: v, now: now}
	q.From, q.Until = p.position("from"), p.position("until")
	q.Newest = v.Get("from") == ""
	switch v.Get("order") {
	case "":
	case "newest":
		q.Newest = true
	case "oldest":
		q.Newest = false
	default:
		p.bad("order", errors.New("newest or oldest is expected"))
	}
	if text := v.Get("partitions"); text != "" {
		for part := range strings.SplitSeq(text, ",") {
			n, err := strconv.ParseInt(strings.TrimSpace(part), 10, 32)
			if err != nil || n < 0 {
				p.bad("partitions", fmt.Errorf("%q is not a partition number", part))
				break
			}
			if !slices.Contains(q.Partitions, int32(n)) {
				q.Partitions = append(q.Partitions, int32(n))
			}
		}
	}
	var err error
	if q.At, err = ParseAt(v.Get("at")); err != nil {
		p.bad("at", err)
	}
	q.Limit = int(p.number("limit", DefaultLimit, 1, MaxLimit))
	q.Bytes = p.number("bytes", DefaultBytes, 1, MaxBytes)
	q.Time = time.Duration(p.number("seconds", int64(DefaultTime/time.Second), 1, int64(MaxTime/time.Second))) * time.Second
	q.Preview = int(p.number("preview", DefaultPreview, 0, MaxPreview))
	if q.matcher, err = termsOf(v).Compile(); err != nil {
		p.errs = append(p.errs, err)
	}
	if len(p.errs) > 0 {
		return Query{}, fmt.Errorf("%w: %w", ErrQuery, errors.Join(p.errs...))
	}
	return q, nil
}

func termsOf(v url.Values) filter.Terms {
	return filter.Terms{Text: v.Get("text"), Key: v.Get("key"), Header: v.Get("header"), Path: v.Get("json"), Where: v.Get("where")}
}

type queryParser struct {
	v    url.Values
	now  time.Time
	errs []error
}

func (p *queryParser) bad(name string, err error) {
	p.errs = append(p.errs, fmt.Errorf("%s: %w", name, err))
}

func (p *queryParser) position(name string) *admin.Position {
	text := p.v.Get(name)
	if text == "" {
		return nil
	}
	at, err := admin.ParsePosition(text, p.now)
	if err == nil && at.Relative() {
		err = fmt.Errorf("%q %w", text, admin.ErrPosition)
	}
	if err != nil {
		p.bad(name, err)
		return nil
	}
	return &at
}

func (p *queryParser) number(name string, fallback, low, high int64) int64 {
	text := p.v.Get(name)
	if text == "" {
		return fallback
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < low || n > high {
		p.bad(name, fmt.Errorf("%q is not between %d and %d", text, low, high))
		return fallback
	}
	return n
}
