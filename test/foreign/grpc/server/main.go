// Server is an instance of gRPC: the test service of grpc-go's interoperability tests, and grpc.health.v1. It prints its
// address, and reports itself as not serving from SIGUSR1 on. Each unary response has a load report of ORCA in its trailers, and the ORCA service streams another one. An argument is the address to listen on.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/orca"
)

func main() {
	addr := "127.0.0.1:0"
	if len(os.Args) > 1 {
		addr = os.Args[1]
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		log.Fatal(err)
	}
	s, h := grpc.NewServer(orca.CallMetricsServerOption(nil), grpc.ChainUnaryInterceptor(reportLoad)), health.NewServer()
	testgrpc.RegisterTestServiceServer(s, interop.NewTestServer())
	grpc_health_v1.RegisterHealthServer(s, h)
	h.SetServingStatus("grpc.testing.TestService", grpc_health_v1.HealthCheckResponse_SERVING)
	load := orca.NewServerMetricsRecorder()
	load.SetCPUUtilization(.125)
	if err := orca.Register(s, orca.ServiceOptions{ServerMetricsProvider: load}); err != nil {
		log.Fatal(err)
	}
	toggle := make(chan os.Signal, 1)
	signal.Notify(toggle, syscall.SIGUSR1)
	go func() {
		<-toggle
		h.SetServingStatus("grpc.testing.TestService", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	}()
	fmt.Println(ln.Addr())
	log.Fatal(s.Serve(ln))
}

func reportLoad(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if r := orca.CallMetricsRecorderFromContext(ctx); r != nil {
		r.SetCPUUtilization(.25)
		r.SetRequestCost("items", 3)
	}
	return handle(ctx, req)
}
