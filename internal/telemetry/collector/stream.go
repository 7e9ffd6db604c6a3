package collector

import (
	"context"
	"errors"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/smartlb/smartlb/internal/dataplane/orca"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/reporter"
)

// streamMethod is the method of xds.service.orca.v3.
const streamMethod = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics"

// silences is the number of intervals without a report after which a stream is ended. An instance may have a longest interval
// of its own, so it is at least minSilence.
const (
	silences   = 3
	minSilence = time.Minute
)

// message is a message of gRPC as bytes. Package orca reads reports itself, so that an instance cannot make large ones of it.
type message []byte

type byteCodec struct{}

func (byteCodec) Name() string { return "proto" }

func (byteCodec) Marshal(v any) ([]byte, error) { return *v.(*message), nil }

func (byteCodec) Unmarshal(b []byte, v any) error {
	*v.(*message) = append(message(nil), b...)
	return nil
}

// streamRequest encodes an OrcaLoadReportRequest, which has an interval only.
func streamRequest(interval time.Duration) message {
	d := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(interval/time.Second))
	d = protowire.AppendVarint(protowire.AppendTag(d, 2, protowire.VarintType), uint64(interval%time.Second))
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), d)
}

// stream reads the reports of an instance until ctx ends or the stream breaks, and calls each with each report or what is
// wrong with it.
func (c *Collector) stream(ctx context.Context, t target, each func(orca.Report, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	transport := insecure.NewCredentials()
	if t.secure {
		by, err := c.secure.by(t.tls)
		if err != nil {
			return err
		}
		host, _, err := net.SplitHostPort(t.address)
		if err != nil {
			return err
		}
		transport = credentials.NewTLS(by.files.TLS(host))
	}
	authorization, err := t.authorization()
	if err != nil {
		return err
	}
	if authorization != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", authorization)
	}
	conn, err := grpc.NewClient("passthrough:///"+t.address, grpc.WithTransportCredentials(transport), grpc.WithNoProxy(), grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(byteCodec{}), grpc.MaxCallRecvMsgSize(orca.MaxBytes)))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	silence := time.AfterFunc(allowedSilence(t), cancel)
	defer silence.Stop()
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, streamMethod)
	if err != nil {
		return err
	}
	request := streamRequest(t.stream.Interval)
	if err := errors.Join(s.SendMsg(&request), s.CloseSend()); err != nil {
		return err
	}
	for {
		var m message
		if err := s.RecvMsg(&m); err != nil {
			return err
		}
		silence.Reset(allowedSilence(t))
		each(orca.ParseMessage(m))
		select { // flow control then holds up an instance that floods
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(t.stream.Interval / 10):
		}
	}
}

func allowedSilence(t target) time.Duration { return max(silences*t.stream.Interval, minSilence) }

// follow publishes the reports of a stream until ctx ends. A stream that breaks begins again after the interval.
func (c *Collector) follow(ctx context.Context, t target) {
	c.asked[t.kind].Add(1)
	defer c.asked[t.kind].Add(-1)
	state := health{c: c, t: t}
	timer := time.NewTimer(spread(t.stream.Interval))
	defer timer.Stop()
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		err := c.stream(ctx, t, func(r orca.Report, err error) {
			now := c.cfg.Wall()
			if err == nil && now.Sub(last) < t.stream.Interval/2 { // faster than asked for
				return
			}
			last = now
			result, err := c.report(t, r, err, now)
			state.note(result, err)
		})
		if ctx.Err() != nil {
			return
		}
		state.note(Unreachable, err)
		timer.Reset(t.stream.Interval/2 + spread(t.stream.Interval))
	}
}

// report publishes a report of a stream.
func (c *Collector) report(t target, r orca.Report, err error, now time.Time) (Result, error) {
	if err != nil {
		return Invalid, err
	}
	m := event.ServiceMetrics{Timestamp: now.UTC().Truncate(time.Millisecond), ServiceID: t.service, InstanceID: t.instance, Metrics: reporter.MetricsOf(r)}
	if m.Metrics == (event.Metrics{}) { // protobuf leaves out numbers that are 0
		return Published, nil
	}
	return c.send(event.TopicServiceMetrics, t.service, Stream, m.AppendJSON(nil)), nil
}
