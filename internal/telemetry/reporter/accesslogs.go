package reporter

import (
	"bytes"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// AccessLogs sends lines of the access log to topic access-logs. One goroutine may call Write at a time.
type AccessLogs struct {
	key    []byte
	sender Sender
}

// NewAccessLogs returns a writer of the access log of a node. The sender counts the records that it refuses.
func NewAccessLogs(node string, sender Sender) *AccessLogs {
	return &AccessLogs{key: []byte(node), sender: sender}
}

// Write sends each line as a record. It does not block and returns no error.
func (a *AccessLogs) Write(lines []byte) (int, error) {
	for rest := bytes.Clone(lines); len(rest) > 0; {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		a.sender.Send(kafka.Record{Topic: event.TopicAccessLogs, Key: a.key, Value: line})
		rest = after
	}
	return len(lines), nil
}
