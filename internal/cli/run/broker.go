package run

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"

	"github.com/spf13/pflag"

	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/broker"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/ops"
	"github.com/smartlb/smartlb/internal/stack"
	"github.com/smartlb/smartlb/internal/topic"
)

// BrokerOptions are the settings of the broker role.
type BrokerOptions struct {
	Data     string // folder of the records
	Listen   string // EXTERNAL listener
	Internal string // INTERNAL listener; empty: none
	Ready    string // file to write when it serves; empty: none
}

// DefaultBrokerOptions are Kafka's usual ports.
func DefaultBrokerOptions() BrokerOptions {
	d := broker.Default()
	return BrokerOptions{Listen: d.External, Internal: d.Internal}
}

// Flags declares the options.
func (o *BrokerOptions) Flags(f *pflag.FlagSet) {
	f.StringVar(&o.Data, "data", o.Data, "folder that holds the records")
	f.StringVar(&o.Listen, "broker-listen", o.Listen, "address of the broker for clients; port 0 picks one")
	f.StringVar(&o.Internal, "broker-internal", o.Internal, "second address, for containers; empty for none")
	f.StringVar(&o.Ready, "ready-file", o.Ready, "file to write the pid and addresses into when the broker serves")
}

// Broker runs the embedded broker until ctx ends and makes the topics of the
// catalog exist.
func Broker(ctx context.Context, log *slog.Logger, o BrokerOptions) error {
	if o.Data == "" {
		return cli.Usagef("--data is missing: the broker needs a folder for its records")
	}
	catalog, err := topic.Parse(deployment.Topics)
	if err != nil {
		return err
	}
	cfg := broker.Default()
	cfg.Dir, cfg.External, cfg.Internal = o.Data, o.Listen, o.Internal
	b, err := broker.New(cfg, log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var aside sync.WaitGroup
	defer aside.Wait()
	defer cancel()
	aside.Go(func() { introduce(ctx, log, b, o.Ready, catalog) })
	err = b.Run(ctx)
	if o.Ready != "" {
		if rerr := os.Remove(o.Ready); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	return err
}

// introduce does what remains when the broker serves.
func introduce(ctx context.Context, log *slog.Logger, b *broker.Broker, ready string, catalog topic.Catalog) {
	select {
	case <-b.Ready():
	case <-ctx.Done():
		return
	}
	if err := ensure(ctx, log, b.Addr(), catalog); err != nil && ctx.Err() == nil {
		log.Error("topics of the catalog are missing", "error", err)
	}
	if ready == "" || ctx.Err() != nil {
		return
	}
	if err := stack.WriteReady(ready, stack.Readiness{PID: os.Getpid(), Address: b.Addr(), Internal: b.InternalAddr()}); err != nil {
		log.Error("ready file was not written", "error", err)
	}
}

func ensure(ctx context.Context, log *slog.Logger, addr string, catalog topic.Catalog) error {
	cfg := kafka.Default()
	cfg.Brokers = []string{addr}
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		return fmt.Errorf("ensure topics: %w", err)
	}
	defer admin.Close()
	done, err := ops.EnsureTopics(ctx, admin, catalog)
	if err != nil {
		return err
	}
	if len(done.Created) > 0 {
		log.Info("topics created", "topics", len(done.Created))
	}
	return nil
}
