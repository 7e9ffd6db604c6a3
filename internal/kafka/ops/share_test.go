package ops_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/ops"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// A share group beside others: all of them are described, and it is moved,
// forgotten and deleted as the others are.
func TestShareGroupsAreGroupsToo(t *testing.T) {
	cfg := kafka.Default() // the embedded broker does not offer share groups
	cfg.Brokers, cfg.Linger = []string{kafkatest.New(t).Addr()}, 0
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	create(t, admin, "t", 1, nil)
	send(t, cfg, "t", "a", "b", "c")
	if _, err := ops.ResetGroup(t.Context(), admin, ops.ResetSpec{Group: "other", To: ops.Start(), Topics: []ops.TopicParts{{Topic: "t"}}, Execute: true}); err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.ShareGroup("shared"), kgo.ConsumeTopics("t"), kgo.ClientID("me"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var d ops.GroupDescription
	for ctx.Err() == nil && len(d.Rows) == 0 {
		poll, stop := context.WithTimeout(ctx, 50*time.Millisecond)
		cl.PollFetches(poll)
		stop()
		d, _ = ops.DescribeGroup(ctx, admin, "shared")
	}
	if d.Type != "share" || d.Members != 1 || len(d.Rows) != 1 || d.Rows[0].Client != "me" || d.Rows[0].End != 3 {
		t.Fatalf("it is %+v", d)
	}
	all, err := ops.DescribeGroups(t.Context(), admin)
	if err != nil || len(all) != 2 || all[0].Lag != 3 || all[1].Type != "share" {
		t.Errorf("all are %+v, %v", all, err)
	}
	reset := ops.ResetSpec{Group: "shared", To: *position(t, "1"), Topics: []ops.TopicParts{{Topic: "t"}}, Execute: true}
	if _, err := ops.ResetGroup(t.Context(), admin, reset); err == nil {
		t.Error("it was moved under a member")
	}
	cl.Close()
	if r, err := ops.ResetGroup(t.Context(), admin, reset); err != nil || !r.Executed {
		t.Fatalf("%+v, %v", r, err)
	}
	if d, err = ops.DescribeGroup(t.Context(), admin, "shared"); err != nil || d.Rows[0].Current != 1 || d.Lag != 2 {
		t.Errorf("after it was moved: %+v, %v", d, err)
	}
	if f, err := ops.DeleteOffsets(t.Context(), admin, "shared", true, "t"); err != nil || !f[0].Deleted {
		t.Errorf("forgotten: %+v, %v", f, err)
	}
	if _, err := ops.DescribeGroup(t.Context(), admin, "shared"); err != nil && !errors.Is(err, ops.ErrNoGroup) {
		t.Errorf("afterwards: %v", err)
	}
}
