package admin_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/test/brokertest"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// A share group beside others: all of them are described, and it is moved,
// forgotten and deleted as the others are.
func TestShareGroupsAreGroupsToo(t *testing.T) {
	cfg := kafka.Default() // the embedded broker does not offer share groups
	cfg.Brokers, cfg.Linger = []string{kafkatest.New(t).Addr()}, 0
	client, err := kafka.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	brokertest.Create(t, client, "t", 1, nil)
	brokertest.Send(t, cfg, "t", "a", "b", "c")
	if _, err := admin.ResetGroup(t.Context(), client, admin.ResetSpec{Group: "other", To: admin.Start(), Topics: []admin.TopicParts{{Topic: "t"}}, Execute: true}); err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.ShareGroup("shared"), kgo.ConsumeTopics("t"), kgo.ClientID("me"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var d admin.GroupDescription
	for ctx.Err() == nil && len(d.Rows) == 0 {
		poll, stop := context.WithTimeout(ctx, 50*time.Millisecond)
		cl.PollFetches(poll)
		stop()
		d, _ = admin.DescribeGroup(ctx, client, "shared")
	}
	if d.Type != "share" || d.Members != 1 || len(d.Rows) != 1 || d.Rows[0].Client != "me" || d.Rows[0].End != 3 {
		t.Fatalf("it is %+v", d)
	}
	all, err := admin.DescribeGroups(t.Context(), client)
	if err != nil || len(all) != 2 || all[0].Lag != 3 || all[1].Type != "share" {
		t.Errorf("all are %+v, %v", all, err)
	}
	reset := admin.ResetSpec{Group: "shared", To: *brokertest.Position(t, "1"), Topics: []admin.TopicParts{{Topic: "t"}}, Execute: true}
	if _, err := admin.ResetGroup(t.Context(), client, reset); err == nil {
		t.Error("it was moved under a member")
	}
	cl.Close()
	if r, err := admin.ResetGroup(t.Context(), client, reset); err != nil || !r.Executed {
		t.Fatalf("%+v, %v", r, err)
	}
	if d, err = admin.DescribeGroup(t.Context(), client, "shared"); err != nil || d.Rows[0].Current != 1 || d.Lag != 2 {
		t.Errorf("after it was moved: %+v, %v", d, err)
	}
	if f, err := admin.DeleteOffsets(t.Context(), client, "shared", true, "t"); err != nil || !f[0].Deleted {
		t.Errorf("forgotten: %+v, %v", f, err)
	}
	if _, err := admin.DescribeGroup(t.Context(), client, "shared"); err != nil && !errors.Is(err, admin.ErrNoGroup) {
		t.Errorf("afterwards: %v", err)
	}
}
