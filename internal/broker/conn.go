package broker

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// conn stands between a client's socket and kfake. Reads return whole frames
// that passed the guard; writes carry one reply each, which is how kfake
// writes.
type conn struct {
	net.Conn
	at      *entry
	first   *entry // whose address kfake puts into its replies
	known   versions
	rules   *rules
	bounds  func(topic string, partition int32) (start, end int64, ok bool)
	log     *slog.Logger
	pending []byte // of the frame being read by kfake

	mu    sync.Mutex
	edits map[int32]edit // by correlation id, for replies that need one
}

// edit changes a reply.
type edit struct {
	key, version int16
	apply        func(kmsg.Response)
}

// Read implements io.Reader for kfake.
func (c *conn) Read(p []byte) (int, error) {
	for len(c.pending) == 0 {
		frame, err := c.next()
		if err != nil {
			return 0, err
		}
		c.pending = frame
	}
	n := copy(p, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// next reads one frame and returns it with its length, as it goes to kfake.
// Memory grows with what arrives, not with what is announced.
func (c *conn) next() ([]byte, error) {
	var head [6]byte // length and api key
	if _, err := io.ReadFull(c.Conn, head[:]); err != nil {
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(head[:4]))
	if limit := int64(frameLimit(head[4:])); size < minFrame || size > limit {
		return nil, c.drop(refuse("frame of %d bytes, %d are allowed", size, limit))
	}
	var buf bytes.Buffer
	buf.Write(head[:])
	if _, err := io.CopyN(&buf, c.Conn, size-2); err != nil {
		return nil, err
	}
	req, err := c.known.parse(buf.Bytes()[4:])
	if err != nil {
		return nil, c.drop(err)
	}
	e, changed := c.inspect(&req)
	if e != nil {
		c.mu.Lock()
		if c.edits == nil {
			c.edits = map[int32]edit{}
		}
		c.edits[req.correlation] = edit{req.key, req.version, e}
		c.mu.Unlock()
	}
	if changed {
		return req.frame(), nil
	}
	return buf.Bytes(), nil
}

func (c *conn) drop(err error) error {
	c.log.Debug("kafka connection closed", "remote", c.RemoteAddr().String(), "error", err)
	return err
}

// inspect decides what is to be done about a request: what of it is left out
// or changed, and how its reply is completed.
func (c *conn) inspect(req *request) (apply func(kmsg.Response), changed bool) {
	switch body := req.body.(type) {
	case *kmsg.MetadataRequest, *kmsg.FindCoordinatorRequest, *kmsg.DescribeClusterRequest:
		if c.at == c.first {
			return nil, false
		}
		return c.readdress, false
	case *kmsg.CreateTopicsRequest:
		return c.rules.filterCreate(body)
	case *kmsg.CreatePartitionsRequest:
		return c.rules.filterPartitions(body)
	case *kmsg.AlterConfigsRequest:
		return c.rules.filterAlter(body)
	case *kmsg.IncrementalAlterConfigsRequest:
		return c.rules.filterIncremental(body)
	case *kmsg.DeleteRecordsRequest:
		return nil, c.keepLast(body)
	}
	return nil, false
}

// keepLast changes deletions that would empty a partition so that they leave
// its last record: kfake forgets the offsets of empty partitions at the next
// start, committed offsets would then lie beyond the end of the log.
func (c *conn) keepLast(req *kmsg.DeleteRecordsRequest) bool {
	changed := false
	for i, t := range req.Topics {
		for j, p := range t.Partitions {
			start, end, ok := c.bounds(t.Topic, p.Partition)
			if ok && end > start && (p.Offset == -1 || p.Offset == end) {
				req.Topics[i].Partitions[j].Offset = end - 1
				changed = true
			}
		}
	}
	return changed
}

// Write implements io.Writer for kfake: p is one whole reply.
func (c *conn) Write(p []byte) (int, error) {
	if len(p) < 8 {
		return c.Conn.Write(p)
	}
	correlation := int32(binary.BigEndian.Uint32(p[4:]))
	c.mu.Lock()
	e, ok := c.edits[correlation]
	delete(c.edits, correlation)
	c.mu.Unlock()
	if !ok {
		return c.Conn.Write(p)
	}
	if _, err := c.Conn.Write(e.rewrite(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// rewrite applies an edit to a reply frame. What does not parse goes on as it
// is; kfake made it.
func (e edit) rewrite(p []byte) []byte {
	resp := kmsg.ResponseForKey(e.key)
	resp.SetVersion(e.version)
	head := 8
	if resp.IsFlexible() {
		head++ // no tagged fields
	}
	if len(p) < head || resp.ReadFrom(p[head:]) != nil {
		return p
	}
	e.apply(resp)
	out := resp.AppendTo(append([]byte(nil), p[:head]...))
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out
}

// readdress puts the address of the listener that was used into a reply.
func (c *conn) readdress(resp kmsg.Response) {
	switch r := resp.(type) {
	case *kmsg.MetadataResponse:
		for i := range r.Brokers {
			r.Brokers[i].Host, r.Brokers[i].Port = c.at.host, c.at.port
		}
	case *kmsg.FindCoordinatorResponse:
		if r.Version < 4 && r.ErrorCode == 0 {
			r.Host, r.Port = c.at.host, c.at.port
		}
		for i := range r.Coordinators {
			if r.Coordinators[i].ErrorCode == 0 {
				r.Coordinators[i].Host, r.Coordinators[i].Port = c.at.host, c.at.port
			}
		}
	case *kmsg.DescribeClusterResponse:
		for i := range r.Brokers {
			r.Brokers[i].Host, r.Brokers[i].Port = c.at.host, c.at.port
		}
	}
}

// filterCreate takes invalid topics out of a request and returns what adds
// their errors to the reply.
func (r *rules) filterCreate(req *kmsg.CreateTopicsRequest) (func(kmsg.Response), bool) {
	var kept []kmsg.CreateTopicsRequestTopic
	var refused []kmsg.CreateTopicsResponseTopic
	total := 0
	for _, t := range req.Topics {
		p := r.newTopic(t)
		if p == nil {
			if total += max(int(t.NumPartitions), len(t.ReplicaAssignment), 1); total > maxRequestPartitions {
				p = &problem{kerr.InvalidPartitions.Code, fmt.Sprintf("more than %d partitions in one request", maxRequestPartitions)}
			}
		}
		if p == nil {
			kept = append(kept, t)
			continue
		}
		e := kmsg.NewCreateTopicsResponseTopic()
		e.Topic, e.ErrorCode, e.ErrorMessage = t.Topic, p.code, &p.message
		e.NumPartitions, e.ReplicationFactor = -1, -1
		refused = append(refused, e)
	}
	if len(refused) == 0 {
		return nil, false
	}
	req.Topics = kept
	return func(resp kmsg.Response) {
		if c, ok := resp.(*kmsg.CreateTopicsResponse); ok {
			c.Topics = append(c.Topics, refused...)
		}
	}, true
}

// filterPartitions does for CreatePartitions what filterCreate does for
// CreateTopics.
func (r *rules) filterPartitions(req *kmsg.CreatePartitionsRequest) (func(kmsg.Response), bool) {
	var kept []kmsg.CreatePartitionsRequestTopic
	var refused []kmsg.CreatePartitionsResponseTopic
	for _, t := range req.Topics {
		p := r.partitions(t.Count)
		if p == nil {
			kept = append(kept, t)
			continue
		}
		e := kmsg.NewCreatePartitionsResponseTopic()
		e.Topic, e.ErrorCode, e.ErrorMessage = t.Topic, p.code, &p.message
		refused = append(refused, e)
	}
	if len(refused) == 0 {
		return nil, false
	}
	req.Topics = kept
	return func(resp kmsg.Response) {
		if c, ok := resp.(*kmsg.CreatePartitionsResponse); ok {
			c.Topics = append(c.Topics, refused...)
		}
	}, true
}

// filterAlter does for AlterConfigs what filterCreate does for CreateTopics.
func (r *rules) filterAlter(req *kmsg.AlterConfigsRequest) (func(kmsg.Response), bool) {
	var kept []kmsg.AlterConfigsRequestResource
	var refused []kmsg.AlterConfigsResponseResource
	for _, res := range req.Resources {
		p := r.altered(res)
		if p == nil {
			kept = append(kept, res)
			continue
		}
		e := kmsg.NewAlterConfigsResponseResource()
		e.ResourceType, e.ResourceName, e.ErrorCode, e.ErrorMessage = res.ResourceType, res.ResourceName, p.code, &p.message
		refused = append(refused, e)
	}
	if len(refused) == 0 {
		return nil, false
	}
	req.Resources = kept
	return func(resp kmsg.Response) {
		if a, ok := resp.(*kmsg.AlterConfigsResponse); ok {
			a.Resources = append(a.Resources, refused...)
		}
	}, true
}

// filterIncremental does for IncrementalAlterConfigs what filterCreate does
// for CreateTopics.
func (r *rules) filterIncremental(req *kmsg.IncrementalAlterConfigsRequest) (func(kmsg.Response), bool) {
	var kept []kmsg.IncrementalAlterConfigsRequestResource
	var refused []kmsg.IncrementalAlterConfigsResponseResource
	for _, res := range req.Resources {
		p := r.incrementallyAltered(res)
		if p == nil {
			kept = append(kept, res)
			continue
		}
		e := kmsg.NewIncrementalAlterConfigsResponseResource()
		e.ResourceType, e.ResourceName, e.ErrorCode, e.ErrorMessage = res.ResourceType, res.ResourceName, p.code, &p.message
		refused = append(refused, e)
	}
	if len(refused) == 0 {
		return nil, false
	}
	req.Resources = kept
	return func(resp kmsg.Response) {
		if a, ok := resp.(*kmsg.IncrementalAlterConfigsResponse); ok {
			a.Resources = append(a.Resources, refused...)
		}
	}, true
}
