package scaler

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/telemetry/capacity"
)

const (
	serviceName = "externalscaler.ExternalScaler"
	metricName  = "smartlb-instances"

	maxMessage  = 64 << 10 // a trigger of KEDA has some hundred bytes
	maxStreams  = 64       // of one connection
	callTimeout = 5 * time.Second
	stopTimeout = time.Second
)

// Config configures a Server.
type Config struct {
	Capacity func(ctx context.Context, q api.CapacityQuery) ([]api.Capacity, error) // as in api.Sources
	TLS      *tls.Config                                                            // nil: plain text
	Log      *slog.Logger
}

// Server answers KEDA. Make it with New.
type Server struct {
	cfg  Config
	grpc *grpc.Server
	stop chan struct{} // closed when streams are to end
}

// New returns a server that does not listen yet.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, stop: make(chan struct{})}
	options := []grpc.ServerOption{
		grpc.ForceServerCodec(byteCodec{}), grpc.MaxRecvMsgSize(maxMessage), grpc.MaxConcurrentStreams(maxStreams), grpc.MaxHeaderListSize(16 << 10), grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 15 * time.Minute, Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	}
	if cfg.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(cfg.TLS)))
	}
	s.grpc = grpc.NewServer(options...)
	s.grpc.RegisterService(&grpc.ServiceDesc{
		ServiceName: serviceName, HandlerType: (*any)(nil), Metadata: "externalscaler.proto",
		Methods: []grpc.MethodDesc{
			{MethodName: "IsActive", Handler: method(s.isActive)},
			{MethodName: "GetMetricSpec", Handler: method(s.metricSpec)},
			{MethodName: "GetMetrics", Handler: method(s.metrics)},
		},
		Streams: []grpc.StreamDesc{{StreamName: "StreamIsActive", ServerStreams: true, Handler: s.streamIsActive}},
	}, s)
	return s
}

// Run serves the connections of l until ctx ends, and closes l.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	done := make(chan error, 1)
	go func() { done <- s.grpc.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	close(s.stop)
	force := time.AfterFunc(stopTimeout, s.grpc.Stop)
	defer force.Stop()
	s.grpc.GracefulStop()
	if err := <-done; !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// method is the handler of a call with one request and one response.
func method(call func(ctx context.Context, request message) (message, error)) grpc.MethodHandler {
	return func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var request message
		if err := decode(&request); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		response, err := call(ctx, request)
		if err != nil {
			return nil, err
		}
		return &response, nil
	}
}

// isActive says that a service is active if it exists. smartlb never asks for zero instances: without instances nothing
// would measure the requests that ask for the first one.
func (s *Server) isActive(ctx context.Context, request message) (message, error) {
	set, err := settingsOf(parseObject(request))
	if err != nil {
		return nil, err
	}
	if _, err := s.capacity(ctx, set); err != nil {
		return nil, err
	}
	return isActive(), nil
}

// streamIsActive says so once, and keeps the stream open.
func (s *Server) streamIsActive(_ any, stream grpc.ServerStream) error {
	var request message
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(stream.Context(), callTimeout)
	response, err := s.isActive(ctx, request)
	cancel()
	if err != nil {
		return err
	}
	if err := stream.SendMsg(&response); err != nil {
		return err
	}
	select {
	case <-stream.Context().Done():
		return nil
	case <-s.stop:
		return status.Error(codes.Unavailable, "the node stops")
	}
}

func (s *Server) metricSpec(_ context.Context, request message) (message, error) {
	if _, err := settingsOf(parseObject(request)); err != nil {
		return nil, err
	}
	return measured(metricName, 1), nil
}

func (s *Server) metrics(ctx context.Context, request message) (message, error) {
	o, metric, err := parseRequest(request)
	set, err := settingsOf(o, err)
	if err != nil {
		return nil, err
	}
	if metric != metricName {
		return nil, status.Errorf(codes.InvalidArgument, "there is no metric %.60q, only %s", metric, metricName)
	}
	c, err := s.capacity(ctx, set)
	if err != nil {
		return nil, err
	}
	n, err := instances(c, set)
	if err != nil {
		s.cfg.Log.Debug("no number of instances for KEDA", "namespace", o.namespace, "scaled_object", o.name, "service", set.service, "error", err)
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	return measured(metricName, n), nil
}

func settingsOf(o object, err error) (settings, error) {
	if err != nil {
		return settings{}, status.Error(codes.InvalidArgument, err.Error())
	}
	set, err := parse(o.metadata)
	if err != nil {
		return set, status.Error(codes.InvalidArgument, err.Error())
	}
	return set, nil
}

// capacity returns what the service can carry. The errors have the codes of gRPC.
func (s *Server) capacity(ctx context.Context, set settings) (api.Capacity, error) {
	all, err := s.cfg.Capacity(ctx, api.CapacityQuery{Service: set.service, Target: set.target, Brief: true})
	switch {
	case problem.CodeOf(err) == problem.NotFound:
		return api.Capacity{}, status.Error(codes.NotFound, err.Error())
	case err != nil:
		return api.Capacity{}, status.Error(codes.Unavailable, err.Error())
	case len(all) != 1:
		return api.Capacity{}, status.Errorf(codes.Internal, "%d services have the id %.80q", len(all), set.service)
	}
	return all[0], nil
}

// instances returns how many instances a service needs. It is not rounded, so that the tolerance of the autoscaler works.
func instances(c api.Capacity, set settings) (float64, error) {
	level, _ := capacity.ParseConfidence(c.Confidence)
	switch {
	case c.Load == nil || c.PerInstance == nil || c.Recommended == nil:
		return 0, errors.New("the number of instances that " + c.Service + " needs is unknown: " + reason(c))
	case level < set.confidence:
		return 0, errors.New("the capacity of " + c.Service + " is known with " + c.Confidence + " confidence, and " + keyConfidence + " is " + set.confidence.String() + ": " + reason(c))
	}
	return max(*c.Load / *c.PerInstance, 1), nil
}

// reason says why a number is not known.
func reason(c api.Capacity) string {
	if c.Recommended == nil && c.Capacity != nil && c.AtLeast {
		return "the capacity is a lower bound only; " + c.Reason
	}
	return c.Reason
}
