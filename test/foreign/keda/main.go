// Keda asks an external scaler as KEDA does, with KEDA's own client, and prints a line for each call.
//
//	keda ADDRESS CA CERT KEY KEY=VALUE...
//
// An empty CERT is a client without a certificate.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

func main() {
	conn, err := dial(os.Args[1], os.Args[2], os.Args[3], os.Args[4])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer conn.Close()
	ref := &pb.ScaledObjectRef{Name: "shop", Namespace: "default", ScalerMetadata: map[string]string{"scalerAddress": os.Args[1], "enableTLS": "true"}}
	for _, pair := range os.Args[5:] {
		key, value, _ := strings.Cut(pair, "=")
		ref.ScalerMetadata[key] = value
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client := pb.NewExternalScalerClient(conn)
	spec, err := client.GetMetricSpec(ctx, ref)
	for _, s := range spec.GetMetricSpecs() {
		fmt.Println("GetMetricSpec", s.MetricName, s.TargetSize, s.TargetSizeFloat)
	}
	failed("GetMetricSpec", err)
	active, err := client.IsActive(ctx, ref)
	failed("IsActive", err)
	if err == nil {
		fmt.Println("IsActive", active.Result)
	}
	stream, err := client.StreamIsActive(ctx, ref)
	if err == nil {
		active, err = stream.Recv()
	}
	failed("StreamIsActive", err)
	if err == nil {
		fmt.Println("StreamIsActive", active.Result)
	}
	if len(spec.GetMetricSpecs()) == 0 {
		return
	}
	values, err := client.GetMetrics(ctx, &pb.GetMetricsRequest{ScaledObjectRef: ref, MetricName: spec.MetricSpecs[0].MetricName})
	failed("GetMetrics", err)
	for _, v := range values.GetMetricValues() {
		fmt.Println("GetMetrics", v.MetricName, v.MetricValue, v.MetricValueFloat)
	}
}

func failed(call string, err error) {
	if err != nil {
		fmt.Println(call, status.Code(err), status.Convert(err).Message())
	}
}

func dial(address, ca, cert, key string) (*grpc.ClientConn, error) {
	text, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{RootCAs: x509.NewCertPool()}
	cfg.RootCAs.AppendCertsFromPEM(text)
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(cfg)), grpc.WithNoProxy())
}
