package collector

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
)

// reporting serves streams of reports: handle sends the messages of each stream.
func reporting(t *testing.T, handle func(send func(message) error, done <-chan struct{}) error, options ...grpc.ServerOption) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(append(options, grpc.ForceServerCodec(byteCodec{}))...)
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "xds.service.orca.v3.OpenRcaService", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{{
		StreamName: "StreamCoreMetrics", ServerStreams: true,
		Handler: func(_ any, stream grpc.ServerStream) error {
			var request message
			if err := stream.RecvMsg(&request); err != nil {
				return err
			}
			if want := message("\x0a\x07\x08\x00\x10\xc0\xf0\xf5\x0b"); string(request) != string(want) {
				t.Errorf("request %x, want an interval of 25 ms: %x", request, want)
			}
			return handle(func(m message) error { return stream.SendMsg(&m) }, stream.Context().Done())
		},
	}}}, nil)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() { s.Stop(); <-served })
	return ln.Addr().String()
}

func cpu(v float64) message {
	return binary.LittleEndian.AppendUint64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), math.Float64bits(v))
}

// Streams are read, begin again after they broke, and bad messages or instances hold up no other.
func TestStreamsOfReports(t *testing.T) {
	t.Parallel()
	var streams atomic.Int64
	addresses := []string{
		reporting(t, func(send func(message) error, _ <-chan struct{}) error { // breaks after each report
			streams.Add(1)
			return send(cpu(.25))
		}),
		reporting(t, func(send func(message) error, done <-chan struct{}) error { // bad ones, then silence
			for _, m := range []message{cpu(math.NaN()), {0xff}, nil} {
				if err := send(m); err != nil {
					return err
				}
			}
			<-done
			return nil
		}),
		reporting(t, func(send func(message) error, _ <-chan struct{}) error { return send(make(message, 1<<20)) }),
		"127.0.0.1:1",
	}
	log := &topicLog{}
	services := []config.Service{{ID: "s", LoadReports: &config.LoadReports{ORCA: &config.ORCA{OutOfBand: &config.OutOfBand{Interval: 25 * time.Millisecond}}}, Instances: instances(addresses...)}}
	c, stop := start(t, Config{Node: "n", Sender: log, Services: func() []config.Service { return services }, Nodes: func() []string { return []string{"n"} }})
	eventually(t, "three streams and the results of the bad ones", func() bool {
		s := c.Stats()
		return streams.Load() >= 3 && len(log.of(event.TopicServiceMetrics, "i0")) >= 3 && s.Results[Stream][Invalid] >= 2 && s.Results[Stream][Unreachable] >= 10
	}, func() { t.Logf("%+v", c.Stats()) })
	stop()
	r := log.of(event.TopicServiceMetrics, "i0")[0]
	m, err := event.DecodeServiceMetrics(r.Value)
	if reporter, _ := r.Header(event.HeaderReporter); err != nil || string(reporter) != "collector/orca-stream" || m.Metrics.Utilization != event.Some(.25) {
		t.Errorf("%s %s, %v", reporter, r.Value, err)
	}
	for i := range addresses[1:] {
		if n := len(log.of(event.TopicServiceMetrics, fmt.Sprint("i", i+1))); n > 0 {
			t.Errorf("%d messages of instance %d", n, i+1)
		}
	}
}

// A context that ends ends a stream that says nothing.
func TestASilentStreamEndsWithItsContext(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	address := reporting(t, func(_ func(message) error, done <-chan struct{}) error { close(begun); <-done; return nil })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- new(Collector).stream(ctx, target{address: address, stream: config.OutOfBand{Interval: 25 * time.Millisecond}}, nil)
	}()
	<-begun
	cancel()
	if err := <-ended; err == nil {
		t.Error("no error")
	}
}
