package children

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/stack/child"
)

// brokerStart limits the time until a broker responds on a busy machine with a slow disk. A broker that cannot start
// fails immediately.
const brokerStart = time.Minute

func (p *processes) startBroker(ctx, childCtx context.Context) error {
	if p.o.KafkaGiven {
		return nil
	}
	for _, l := range []struct{ addr, flag string }{{p.o.BrokerListen, "--broker-listen"}, {p.o.BrokerInside, "--broker-internal"}} {
		if l.addr == "" {
			continue
		}
		if err := free(l.addr, l.flag); err != nil {
			return err
		}
	}
	insecure := fmt.Sprintf("--insecure-listen=%v", p.o.Node.Insecure)
	c := p.spawn(childCtx, "broker", "run", insecure, "--roles", "broker", "--data", filepath.Join(p.o.Node.DataDir, "broker"), "--with-parent",
		"--admin", "127.0.0.1:0", // an exported SMARTLB_ADMIN_ADDRESS applies to this process only
		"--broker-listen", p.o.BrokerListen, "--broker-internal", p.o.BrokerInside)
	cfg := kafka.Default()
	cfg.Brokers = []string{p.o.BrokerListen}
	p.o.Node.OwnBroker = true
	p.o.Node.Document.Kafka.Brokers, p.o.Node.Document.Kafka.TLS, p.o.Node.Document.Kafka.SASL = cfg.Brokers, kafka.TLS{}, kafka.SASL{}
	return p.await(ctx, cfg, c)
}

// await waits until the broker responds. A broker that ended has already written the reason.
func (p *processes) await(ctx context.Context, cfg kafka.Config, c *child.Child) error {
	ctx, cancel := context.WithTimeout(ctx, brokerStart)
	defer cancel()
	admin, err := kafka.NewAdminWithin(ctx, cfg) // the context also limits a broker that hangs
	if err != nil {
		return err
	}
	defer admin.Close()
	for {
		ask, done := context.WithTimeout(ctx, time.Second)
		err = admin.Ping(ask)
		done()
		if err == nil {
			return nil
		}
		if c.Restarts() > 0 {
			return fmt.Errorf("the embedded broker did not start%s", tailOf(filepath.Join(p.logs, "broker.log")))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the embedded broker did not answer within %s: %w%s", brokerStart, err, tailOf(filepath.Join(p.logs, "broker.log")))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
