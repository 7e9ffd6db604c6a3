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

	"github.com/smartlb/smartlb/internal/stack/broker/salvage"
)

// conn connects a client's socket to kfake. Reads return whole frames that passed the guard; each write carries one
// reply, as kfake writes.
type conn struct {
	net.Conn
	at       *entry
	known    versions
	starts   *starts
	space    *space
	sizes    func(*kmsg.CreatePartitionsRequest) map[string]int32 // partition counts of the existing topics
	topics   *policies
	deleted  *deletedGroups
	endings  *endings
	settings *otherSettings
	log      *slog.Logger
	pending  []byte // rest of the frame that kfake is reading

	mu    sync.Mutex
	edits map[int32]edit // by correlation id, for replies that need an edit
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

// next reads one frame and returns it with its length, in kfake's form. Memory grows with the bytes that arrive, not
// with the announced length.
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

// inspect decides how to handle a request: which parts to remove or change, and how to complete its reply.
func (c *conn) inspect(req *request) (apply func(kmsg.Response), changed bool) {
	switch body := req.body.(type) {
	case *kmsg.ApiVersionsRequest:
		if body.NodeID != NodeID {
			return nil, false
		}
		body.NodeID = kfakeNode // the node that the client addresses (KIP-1242)
		return nil, true
	case *kmsg.MetadataRequest, *kmsg.FindCoordinatorRequest, *kmsg.DescribeClusterRequest:
		return c.readdress, false
	case *kmsg.ListPartitionReassignmentsRequest:
		return renumber, false
	case *kmsg.AlterPartitionAssignmentsRequest:
		return reassign(body)
	case *kmsg.OffsetFetchRequest:
		return offsetsOf(body), false
	case *kmsg.DescribeClientQuotasRequest:
		return lists, false
	case *kmsg.DescribeConfigsRequest:
		for i := range body.Resources {
			if r := &body.Resources[i]; r.ResourceType == kmsg.ConfigResourceTypeBroker {
				r.ResourceName = inside(r.ResourceName)
			}
		}
		return describe, true
	case *kmsg.DeleteGroupsRequest:
		return c.deleted.remember, false
	case *kmsg.ProduceRequest:
		apply, changed = c.filterProduce(body, !c.space.forRecords())
		if req.acks == 0 {
			apply = nil // there is no reply
		}
		return apply, changed
	case *kmsg.EndTxnRequest:
		return c.ending(body), false
	case *kmsg.AddPartitionsToTxnRequest:
		c.begins(body.ProducerID)
	case *kmsg.AddOffsetsToTxnRequest:
		c.begins(body.ProducerID)
	case *kmsg.OffsetCommitRequest:
		if c.space.forCommits() {
			return nil, false
		}
		return filterCommit(body)
	case *kmsg.CreateTopicsRequest:
		apply, changed = filterCreate(body, !c.space.forRecords())
		return c.changing(apply), changed
	case *kmsg.CreatePartitionsRequest:
		return filterPartitions(body, c.sizes(body), !c.space.forRecords())
	case *kmsg.AlterConfigsRequest:
		apply, changed = filterAlter(body)
		return c.changing(apply), changed
	case *kmsg.IncrementalAlterConfigsRequest:
		c.topics.resolveAppends(body)
		keep := c.settings.remember(body)
		apply, changed = filterIncremental(body)
		return c.changing(then(keep, apply)), changed
	case *kmsg.DeleteRecordsRequest:
		return c.remember, false
	case *kmsg.ElectLeadersRequest:
		return electionNotNeeded(body.Topics == nil), false
	case *kmsg.DeleteTopicsRequest:
		return c.changing(c.forget), false
	}
	return nil, false
}

// then applies two edits; either may be nil.
func then(first, second func(kmsg.Response)) func(kmsg.Response) {
	return func(resp kmsg.Response) {
		for _, apply := range []func(kmsg.Response){first, second} {
			if apply != nil {
				apply(resp)
			}
		}
	}
}

// changing wraps the edit of a request that may change which topics are compacted.
func (c *conn) changing(apply func(kmsg.Response)) func(kmsg.Response) {
	return func(resp kmsg.Response) {
		c.topics.forget()
		if apply != nil {
			apply(resp)
		}
	}
}

// ending saves that a transaction is being committed, until its end is answered.
func (c *conn) ending(req *kmsg.EndTxnRequest) func(kmsg.Response) {
	if !req.Commit {
		return nil // what is open after a kill is aborted
	}
	if err := c.endings.begin(req); err != nil {
		c.log.Error("kafka commits a transaction that a kill could tear", "error", err)
	}
	return func(kmsg.Response) { c.begins(req.ProducerID) }
}

// begins forgets the last end of a producer's transactions.
func (c *conn) begins(producer int64) {
	if err := c.endings.end(producer); err != nil {
		c.log.Error("kafka cannot forget that a transaction was committed", "error", err)
	}
}

// remember saves log starts before the client gets the reply.
func (c *conn) remember(resp kmsg.Response) {
	r, ok := resp.(*kmsg.DeleteRecordsResponse)
	if !ok {
		return
	}
	higher := map[salvage.Partition]int64{}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 {
				higher[salvage.Partition{Topic: t.Topic, Number: p.Partition}] = p.LowWatermark
			}
		}
	}
	err := c.starts.raise(higher)
	if err == nil {
		return
	}
	c.log.Error("kafka cannot remember where logs begin, a kill would bring deleted records back", "error", err)
	for i, t := range r.Topics {
		for j, p := range t.Partitions {
			if p.ErrorCode == 0 {
				r.Topics[i].Partitions[j].ErrorCode = kerr.KafkaStorageError.Code
			}
		}
	}
}

// forget drops the saved data of deleted topics.
func (c *conn) forget(resp kmsg.Response) {
	r, ok := resp.(*kmsg.DeleteTopicsResponse)
	if !ok {
		return
	}
	gone := map[string]bool{}
	for _, t := range r.Topics {
		if t.ErrorCode == 0 && t.Topic != nil {
			gone[*t.Topic] = true
		}
	}
	if err := c.starts.forget(func(topic string) bool { return gone[topic] }); err != nil {
		c.log.Error("kafka cannot forget where the logs of deleted topics began", "error", err)
	}
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

// rewrite applies an edit to a reply frame. A frame that does not parse passes unchanged; kfake made it.
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

// readdress replaces the address in a reply by that of the listener in use, and removes the rack that kfake invents.
func (c *conn) readdress(resp kmsg.Response) {
	renumber(resp)
	switch r := resp.(type) {
	case *kmsg.MetadataResponse:
		for i := range r.Brokers {
			r.Brokers[i].Host, r.Brokers[i].Port, r.Brokers[i].Rack = c.at.host, c.at.port, nil
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
			r.Brokers[i].Host, r.Brokers[i].Port, r.Brokers[i].Rack = c.at.host, c.at.port, nil
		}
	}
}

// sift divides the items of a request into those that kfake may receive and the errors for the rest. check returns nil
// for a valid item.
func sift[T, E any](all []T, check func(T) *problem, refuse func(T, *problem) E) (kept []T, refused []E) {
	for _, one := range all {
		if p := check(one); p != nil {
			refused = append(refused, refuse(one, p))
			continue
		}
		kept = append(kept, one)
	}
	return kept, refused
}

// adding returns an edit that adds the errors of a sifted request to its reply, and whether there are any.
func adding[R kmsg.Response, E any](refused []E, list func(R) *[]E) (func(kmsg.Response), bool) {
	return func(resp kmsg.Response) {
		if r, ok := resp.(R); ok {
			into := list(r)
			*into = append(*into, refused...)
		}
	}, len(refused) > 0
}

// filterCreate removes invalid topics from a request and returns an edit that adds their errors to the reply.
func filterCreate(req *kmsg.CreateTopicsRequest, full bool) (func(kmsg.Response), bool) {
	total := 0
	kept, refused := sift(req.Topics, func(t kmsg.CreateTopicsRequestTopic) *problem {
		if full {
			return diskFull()
		}
		if p := checkNew(t); p != nil {
			return p
		}
		if total += max(int(t.NumPartitions), len(t.ReplicaAssignment), 1); total > maxRequestPartitions {
			return &problem{kerr.InvalidPartitions.Code, fmt.Sprintf("more than %d partitions in one request", maxRequestPartitions)}
		}
		return nil
	}, func(t kmsg.CreateTopicsRequestTopic, p *problem) kmsg.CreateTopicsResponseTopic {
		e := kmsg.NewCreateTopicsResponseTopic()
		e.Topic, e.ErrorCode, e.ErrorMessage = t.Topic, p.code, &p.message
		e.NumPartitions, e.ReplicationFactor = -1, -1
		return e
	})
	req.Topics = kept
	add, _ := adding(refused, func(c *kmsg.CreateTopicsResponse) *[]kmsg.CreateTopicsResponseTopic { return &c.Topics })
	return add, true // broker ids in assignments were translated
}

// filterPartitions does for CreatePartitions what filterCreate does for
// CreateTopics.
func filterPartitions(req *kmsg.CreatePartitionsRequest, have map[string]int32, full bool) (func(kmsg.Response), bool) {
	kept, refused := sift(req.Topics, func(t kmsg.CreatePartitionsRequestTopic) *problem {
		if full {
			return diskFull()
		}
		for _, a := range t.Assignment {
			if p := checkAssignment(a.Replicas); p != nil {
				return p
			}
		}
		if n, exists := have[t.Topic]; exists && n == t.Count {
			return &problem{kerr.InvalidPartitions.Code, fmt.Sprintf("Topic already has %d partition(s).", n)}
		}
		return checkPartitions(t.Count)
	}, func(t kmsg.CreatePartitionsRequestTopic, p *problem) kmsg.CreatePartitionsResponseTopic {
		e := kmsg.NewCreatePartitionsResponseTopic()
		e.Topic, e.ErrorCode, e.ErrorMessage = t.Topic, p.code, &p.message
		return e
	})
	req.Topics = kept
	add, _ := adding(refused, func(c *kmsg.CreatePartitionsResponse) *[]kmsg.CreatePartitionsResponseTopic { return &c.Topics })
	return add, true
}

// renameBroker changes the name of a resource that is a broker.
func renameBroker(kind kmsg.ConfigResourceType, name *string, to func(string) string) {
	if kind == kmsg.ConfigResourceTypeBroker {
		*name = to(*name)
	}
}

// filterAlter does for AlterConfigs what filterCreate does for CreateTopics.
func filterAlter(req *kmsg.AlterConfigsRequest) (func(kmsg.Response), bool) {
	kept, refused := sift(req.Resources, checkAltered, func(res kmsg.AlterConfigsRequestResource, p *problem) kmsg.AlterConfigsResponseResource {
		e := kmsg.NewAlterConfigsResponseResource()
		e.ResourceType, e.ResourceName, e.ErrorCode, e.ErrorMessage = res.ResourceType, res.ResourceName, p.code, &p.message
		return e
	})
	for i := range kept {
		renameBroker(kept[i].ResourceType, &kept[i].ResourceName, inside)
	}
	req.Resources = kept
	add, _ := adding(refused, func(a *kmsg.AlterConfigsResponse) *[]kmsg.AlterConfigsResponseResource { return &a.Resources })
	return func(resp kmsg.Response) {
		if r, ok := resp.(*kmsg.AlterConfigsResponse); ok {
			for i := range r.Resources {
				renameBroker(r.Resources[i].ResourceType, &r.Resources[i].ResourceName, outsideName)
			}
		}
		add(resp)
	}, true
}

// filterIncremental does for IncrementalAlterConfigs what filterCreate does
// for CreateTopics.
func filterIncremental(req *kmsg.IncrementalAlterConfigsRequest) (func(kmsg.Response), bool) {
	kept, refused := sift(req.Resources, checkIncrementallyAltered, func(res kmsg.IncrementalAlterConfigsRequestResource, p *problem) kmsg.IncrementalAlterConfigsResponseResource {
		e := kmsg.NewIncrementalAlterConfigsResponseResource()
		e.ResourceType, e.ResourceName, e.ErrorCode, e.ErrorMessage = res.ResourceType, res.ResourceName, p.code, &p.message
		return e
	})
	for i := range kept {
		renameBroker(kept[i].ResourceType, &kept[i].ResourceName, inside)
	}
	req.Resources = kept
	add, _ := adding(refused, func(a *kmsg.IncrementalAlterConfigsResponse) *[]kmsg.IncrementalAlterConfigsResponseResource {
		return &a.Resources
	})
	return func(resp kmsg.Response) {
		if r, ok := resp.(*kmsg.IncrementalAlterConfigsResponse); ok {
			for i := range r.Resources {
				renameBroker(r.Resources[i].ResourceType, &r.Resources[i].ResourceName, outsideName)
			}
		}
		add(resp)
	}, true
}
