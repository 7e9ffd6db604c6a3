package broker

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A client that asked right after a transaction was once told of no offset. It
// was Java's consumer: committed() takes the answer to a request of its last
// poll() which had not come before that ended, and it was from before the
// transaction. The broker has the offset when it answers the end.
func TestOffsetsOfATransactionAreThereWhenItsEndIsAnswered(t *testing.T) {
	r := start(t, config(t.TempDir()))
	if err := r.create(t, "a", nil); err != nil {
		t.Fatal(err)
	}
	cl := client(t, r.Addr())
	const id, group = "transactions", "in-transactions"
	begin := kmsg.NewPtrInitProducerIDRequest()
	begin.TransactionalID, begin.TransactionTimeoutMillis = kmsg.StringPtr(id), 60_000
	producer, err := begin.RequestWith(t.Context(), cl)
	if err != nil || producer.ErrorCode != 0 {
		t.Fatal(err, producer)
	}
	pid, epoch := producer.ProducerID, producer.ProducerEpoch
	fetch := func() (int64, int16) {
		t.Helper()
		req := kmsg.NewPtrOffsetFetchRequest()
		req.RequireStable = true
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group, g.Topics = group, []kmsg.OffsetFetchRequestGroupTopic{{Topic: "a", Partitions: []int32{0}}}
		req.Groups = append(req.Groups, g)
		req.Version = 8
		resp := ask(t, r.Addr(), req).(*kmsg.OffsetFetchResponse)
		p := resp.Groups[0].Topics[0].Partitions[0]
		return p.Offset, p.ErrorCode
	}
	for i := int64(0); i < 20; i++ {
		add := kmsg.NewPtrAddOffsetsToTxnRequest()
		add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = id, pid, epoch, group
		if resp, err := add.RequestWith(t.Context(), cl); err != nil || resp.ErrorCode != 0 {
			t.Fatal(err, resp)
		}
		commit := kmsg.NewPtrTxnOffsetCommitRequest()
		commit.TransactionalID, commit.ProducerID, commit.ProducerEpoch, commit.Group, commit.Generation = id, pid, epoch, group, -1
		topic := kmsg.NewTxnOffsetCommitRequestTopic()
		topic.Topic = "a"
		one := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		one.Offset = i
		topic.Partitions = append(topic.Partitions, one)
		commit.Topics = append(commit.Topics, topic)
		commit.Version = 3 // the last one with names of topics, and without an implied begin
		if resp := ask(t, r.Addr(), commit).(*kmsg.TxnOffsetCommitResponse); resp.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Fatal(resp)
		}
		if offset, code := fetch(); i > 0 && code != kerr.UnstableOffsetCommit.Code {
			t.Errorf("in transaction %d: offset %d, error %d, want %v", i, offset, code, kerr.UnstableOffsetCommit)
		}
		end := kmsg.NewPtrEndTxnRequest()
		end.TransactionalID, end.ProducerID, end.ProducerEpoch, end.Commit = id, pid, epoch, true
		resp, err := end.RequestWith(t.Context(), cl)
		if err != nil || resp.ErrorCode != 0 {
			t.Fatal(err, resp)
		}
		if resp.Version >= 5 {
			pid, epoch = resp.ProducerID, resp.ProducerEpoch
		}
		if offset, code := fetch(); offset != i || code != 0 {
			t.Errorf("after transaction %d: offset %d, error %d, want %d", i, offset, code, i)
		}
	}
}
