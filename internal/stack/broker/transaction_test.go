package broker

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/stack/broker/salvage"
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

// What a kill would need in order to finish a commit is there while the commit runs, and not afterwards.
func TestAnEndedTransactionLeavesNoFile(t *testing.T) {
	cfg := config(t.TempDir())
	r := start(t, cfg)
	if err := r.create(t, "a", nil); err != nil {
		t.Fatal(err)
	}
	cl := client(t, r.Addr(), kgo.TransactionalID("t"), kgo.DefaultProduceTopic("a"))
	for _, commit := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit} {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord("v")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := cl.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(cfg.Dir, endingsDir)); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

// A file of an earlier commit must not commit the next transaction of its producer.
func TestTheNextTransactionForgetsTheCommitBeforeIt(t *testing.T) {
	dir := t.TempDir()
	e, _, err := loadEndings(dir)
	if err != nil {
		t.Fatal(err)
	}
	end := kmsg.NewPtrEndTxnRequest()
	end.Version, end.ProducerID, end.ProducerEpoch = 4, 7, 2
	if err := e.begin(end); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, endingsDir, "8"), []byte(`{"epo`), 0o600); err != nil {
		t.Fatal(err)
	}
	e, found, err := loadEndings(dir)
	if want := map[int64]salvage.Ending{7: {Epoch: 2}}; err != nil || !maps.Equal(found, want) {
		t.Fatalf("%v, %v", found, err)
	}
	add := kmsg.NewPtrAddPartitionsToTxnRequest()
	add.ProducerID = 7
	c := &conn{endings: e}
	c.inspect(&request{body: add})
	if _, found, err = loadEndings(dir); err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
}
