package admin

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// What the broker says goes before what the code means in general.
func TestRefusalsAreInTheWordsOfTheBroker(t *testing.T) {
	err := wrap(kerr.InvalidRequest, "Cannot update these configs dynamically: broker.id", "change configuration of %s", "broker:1")
	if want := "change configuration of broker:1: INVALID_REQUEST: Cannot update these configs dynamically: broker.id"; err.Error() != want || !errors.Is(err, kerr.InvalidRequest) {
		t.Errorf("got %q, want %q", err, want)
	}
	if err := wrap(kerr.InvalidRequest, "", "ask"); !errors.Is(err, kerr.InvalidRequest) || wrap(nil, "words", "ask") != nil {
		t.Errorf("got %v", err)
	}
}

// Of several brokers the one that is asked next may not have heard of a topic
// yet: on a busy machine three seconds were not enough.
func TestATopicThatWasMadeIsKnownHoweverSlowlyBrokersHearOfIt(t *testing.T) {
	cluster := kafkatest.New(t, "other")
	cfg := kafka.Default()
	cfg.Brokers = []string{cluster.Addr()}
	a, err := kafka.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	var asked atomic.Int64
	cluster.Fake().ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		ask := req.(*kmsg.MetadataRequest)
		if len(ask.Topics) == 0 {
			cluster.KeepControl()
			return nil, nil, false
		}
		if asked.Add(1) > 80 { // four seconds at least
			return nil, nil, false
		}
		cluster.KeepControl()
		resp := ask.ResponseKind().(*kmsg.MetadataResponse)
		x := kmsg.NewMetadataResponseTopic()
		x.Topic, x.ErrorCode = ask.Topics[0].Topic, kerr.UnknownTopicOrPartition.Code
		resp.Topics = append(resp.Topics, x)
		return resp, nil, true
	})
	if err := CreateTopic(t.Context(), a, NewTopic{Name: "t", Partitions: 1, Replicas: 1}, false); err != nil {
		t.Fatal(err)
	}
	if d, err := DescribeTopic(t.Context(), a, nil, "t"); err != nil || len(d.Partitions) != 1 {
		t.Errorf("%d partitions, %v", len(d.Partitions), err)
	}
}

func TestWaitingForBrokersLeavesTimeForTheNextQuestion(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if p := settleWithin(ctx); p > 2*time.Second || settleWithin(t.Context()) != settle {
		t.Errorf("%v of four seconds", p)
	}
}
