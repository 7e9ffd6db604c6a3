package analysis

import (
	"strconv"
	"time"

	"github.com/smartlb/smartlb/internal/event"
)

// Headers of forwarded and refused records: their source, and the reason of the refusal.
const (
	HeaderSourceTopic     = "smartlb-source-topic"
	HeaderSourcePartition = "smartlb-source-partition"
	HeaderSourceOffset    = "smartlb-source-offset"
	HeaderSourceTime      = "smartlb-source-time" // milliseconds since 1970
	HeaderSize            = "smartlb-size"        // of the whole value, of which 64 KiB are kept
	HeaderReason          = "smartlb-reason"
)

// refuse counts a non-conforming record for its instance, if known, and sends it to the dead-letter topic.
func (t *Task) refuse(in Input, err error, fx *Effects) {
	serviceID, instanceID := event.PeekIdentity(in.Value)
	if serviceID != "" && !t.mine(serviceID) && !in.Rekeyed {
		t.forward(in, serviceID, fx)
		return
	}
	if serviceID != "" && instanceID != "" {
		if i := t.instance(serviceID, instanceID, in.Now); i != nil {
			i.ignore(event.IgnoredNonConforming, in.Now)
			i.seeAt(in.Appended)
		}
	}
	if in.Replay {
		return
	}
	if !t.dlq.take(in.Now) {
		t.dropped["dlq-limit"]++
		return
	}
	reason := err.Error()
	const maxReason = 1000
	reason = reason[:min(len(reason), maxReason)]
	fx.add(Record{
		Topic: in.Topic + ".dlq", Key: []byte(serviceID), Value: in.Value[:min(len(in.Value), dlqValueLimit)],
		Headers: []Header{
			{HeaderSourceTopic, []byte(in.Topic)},
			{HeaderSourcePartition, strconv.AppendInt(nil, int64(in.Partition), 10)},
			{HeaderSourceOffset, strconv.AppendInt(nil, in.Offset, 10)},
			{HeaderSize, strconv.AppendInt(nil, int64(len(in.Value)), 10)},
			{HeaderReason, []byte(reason)},
		},
	})
}

// dlqBudget limits the records per second.
type dlqBudget struct {
	second int64
	used   int
}

func (b *dlqBudget) take(now time.Time) bool {
	if s := now.Unix(); s != b.second {
		b.second, b.used = s, 0
	}
	b.used++
	return b.used <= dlqPerSecond
}
