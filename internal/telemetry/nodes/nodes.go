package nodes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

// StatusInterval is how often a node reports its status.
const StatusInterval = 5 * time.Second

const (
	aliveFor = 15 * time.Second // a node counts as alive for this long after its last status
	maxAhead = time.Minute      // clocks of nodes differ by less; a later date is from no node's clock
	maxNodes = 1000             // limit of stored nodes: any client can write more

	maxStatus   = 1 << 20  // bytes of a status; a node with thousands of overrides has less
	maxStatuses = 32 << 20 // limit of all stored statuses without a signature
)

// Node is a node that reported its status recently.
type Node struct {
	event.NodeStatus
	Key string // id of the key that signed the status; empty: not signed

	size int // bytes of the record
}

// Live reads which nodes reported their status in the last 15 s. It returns the latest status of each, sorted by id.
func Live(ctx context.Context, cfg kafka.Config, log *slog.Logger) ([]Node, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	nodes := newBook()
	caughtUp := false
	tail, err := kafka.NewTail(cfg, kafka.TailConfig{
		Topics: []string{event.TopicNodeStatus}, From: kafka.FromAgo(aliveFor + StatusInterval),
		OnCaughtUp: func() { caughtUp = true; cancel() },
	}, log)
	if err != nil {
		return nil, err
	}
	if err := tail.Run(ctx, func(batch []kafka.Record) {
		for _, r := range batch {
			nodes.take(r, cfg.Verify(r), time.Now())
		}
	}); err != nil {
		return nil, err
	}
	if !caughtUp {
		return nil, fmt.Errorf("Kafka is unavailable, so the list of nodes is unknown (see smartlb kafka status): %w", context.Cause(ctx))
	}
	return nodes.list(), nil
}

// book holds the latest status of each node. Signed nodes are stored separately; a client without a key cannot replace
// them.
type book struct {
	signed, others map[string]Node
	bytes          int // bytes of others
}

func newBook() *book {
	return &book{signed: map[string]Node{}, others: map[string]Node{}}
}

// take stores a status and returns its node, unless it is too old, dated ahead, wrongly signed, too large, or exceeds the number of nodes.
func (b *book) take(r kafka.Record, by sign.Verdict, now time.Time) (node string, ok bool) {
	if by.State == sign.Bad || len(r.Value) > maxStatus {
		return "", false
	}
	s, err := event.DecodeNodeStatus(r.Value)
	if err != nil || now.Sub(s.Timestamp) >= aliveFor || s.Timestamp.Sub(now) > maxAhead {
		return "", false
	}
	room := b.others
	if by.State == sign.Signed {
		room = b.signed
	}
	was, known := room[s.Node]
	if !known && len(room) >= maxNodes {
		return "", false
	}
	if by.State != sign.Signed {
		if b.bytes+len(r.Value)-was.size > maxStatuses {
			return "", false
		}
		b.bytes += len(r.Value) - was.size
	}
	s.AdminURL, s.ConsoleURL = plainURL(s.AdminURL), plainURL(s.ConsoleURL) // pages show it as a link
	room[s.Node] = Node{NodeStatus: s, Key: by.Key, size: len(r.Value)}
	return s.Node, true
}

func (b *book) list() []Node {
	all := maps.Clone(b.others)
	maps.Copy(all, b.signed)
	return slices.SortedFunc(maps.Values(all), func(x, y Node) int { return strings.Compare(x.Node, y.Node) })
}

// ParseURL parses the address that a node reports for itself.
func ParseURL(text string) (*url.URL, error) {
	const longest = 300
	u, err := url.Parse(text)
	switch {
	case len(text) > longest, err != nil:
		return nil, errors.New("not a URL")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.Hostname() == "":
		return nil, errors.New("want http://HOST:PORT or https://HOST:PORT")
	case u.User != nil, strings.Trim(u.Path, "/") != "", u.RawQuery != "", u.Fragment != "":
		return nil, errors.New("want an address without user, path and query")
	}
	return u, nil
}

// plainURL returns the address without path and query, empty if it is invalid.
func plainURL(text string) string {
	u, err := ParseURL(text)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
