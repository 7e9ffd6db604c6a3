// Policies is both ends of a test of routes. It serves instances, one for each argument, which speak HTTP/1.1, HTTP/2 without
// TLS and, by grpc-go, gRPC. Each instance tells its client what it got. It also serves calls: a request with a call in JSON
// is made by grpc-go, and its outcome is the response. It prints the address of the calls, then those of the instances.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// got is what an instance tells its client.
type got struct {
	Instance, Method, Host, Path string
	Header                       http.Header
	Size                         int // of the body or the message
}

// A request says with these headers what becomes of it. A value names the instance that it is for, or all.
const (
	failHeader  = "X-Fail"  // 503, UNAVAILABLE
	sleepHeader = "X-Sleep" // no response until the client leaves
	stallHeader = "X-Stall" // the head of a response, and nothing more
	flowHeader  = "X-Flow"  // a response without an end
	uriHeader   = "X-Uri"   // from the handler to the server of grpc-go, which decodes the path
)

// piece is a part of a response without an end.
var piece = make([]byte, 32<<10)

func asked(r http.Header, name, instance string) bool {
	v := r.Get(name)
	return v == instance || v == "all"
}

// handler returns an instance.
func handler(instance string) http.Handler {
	calls := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		ctx := stream.Context()
		md, _ := metadata.FromIncomingContext(ctx)
		in, head := new(wrapperspb.BytesValue), http.Header{}
		for k, v := range md {
			head[http.CanonicalHeaderKey(k)] = v
		}
		for asked(head, flowHeader, instance) {
			if err := stream.SendMsg(wrapperspb.Bytes(piece)); err != nil {
				return err
			}
		}
		if err := stream.RecvMsg(in); err != nil {
			return err
		}
		switch {
		case asked(head, sleepHeader, instance):
			<-ctx.Done()
			return ctx.Err()
		case asked(head, stallHeader, instance):
			_ = stream.SendHeader(nil)
			<-ctx.Done()
			return ctx.Err()
		}
		text, _ := json.Marshal(got{instance, "POST", strings.Join(md.Get(":authority"), ","), head.Get(uriHeader), head, len(in.Value)})
		return stream.SendMsg(wrapperspb.Bytes(text))
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			if asked(r.Header, failHeader, instance) { // as the server of grpc-go does, but not its ServeHTTP: with a head only
				w.Header().Set("Content-Type", "application/grpc")
				w.Header().Set("Grpc-Status", strconv.Itoa(int(codes.Unavailable)))
				w.Header().Set("Grpc-Message", "the instance "+instance+" fails")
				return
			}
			r.Header.Set(uriHeader, r.RequestURI)
			calls.ServeHTTP(w, r)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		switch {
		case asked(r.Header, failHeader, instance):
			w.WriteHeader(503)
		case asked(r.Header, sleepHeader, instance):
			<-r.Context().Done()
		case asked(r.Header, stallHeader, instance):
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case asked(r.Header, flowHeader, instance):
			for {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
		default:
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(got{instance, r.Method, r.Host, r.RequestURI, r.Header, int(n)})
		}
	})
}

// call is what a test wants to be called.
type call struct {
	Address, Authority, Method string
	CA, Cert, Key              string // PEM, also of the client's certificate; empty: no TLS
	Header                     map[string]string
	Size                       int           // of the message
	Timeout                    time.Duration // 0: none
}

// outcome is what became of a call.
type outcome struct {
	Code, Message   string
	Header, Trailer metadata.MD
	Body            string
}

// caller makes calls. Calls to the same address share a connection.
type caller struct {
	mu    sync.Mutex
	conns map[string]*grpc.ClientConn
}

func (c *caller) conn(in call) (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := in.Address + " " + in.Authority
	if conn := c.conns[key]; conn != nil {
		return conn, nil
	}
	creds := insecure.NewCredentials()
	if in.CA != "" {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(in.CA))
		cert, err := tls.X509KeyPair([]byte(in.Cert), []byte(in.Key))
		if err != nil {
			return nil, err
		}
		creds = credentials.NewTLS(&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}})
	}
	conn, err := grpc.NewClient("passthrough:///"+in.Address, grpc.WithTransportCredentials(creds), grpc.WithAuthority(in.Authority))
	if err == nil {
		c.conns[key] = conn
	}
	return conn, err
}

func (c *caller) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in call
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	conn, err := c.conn(in)
	if err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	ctx := metadata.NewOutgoingContext(r.Context(), metadata.New(in.Header))
	if in.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, in.Timeout)
		defer cancel()
	}
	var out outcome
	answer := new(wrapperspb.BytesValue)
	err = conn.Invoke(ctx, in.Method, wrapperspb.Bytes(make([]byte, in.Size)), answer, grpc.Header(&out.Header), grpc.Trailer(&out.Trailer))
	s := status.Convert(err)
	out.Code, out.Message, out.Body = s.Code().String(), s.Message(), string(answer.Value)
	_ = json.NewEncoder(w).Encode(out)
}

func serve(h http.Handler) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, Protocols: new(http.Protocols), DisableGeneralOptionsHandler: true}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	fmt.Println(ln.Addr())
	go func() { log.Fatal(s.Serve(ln)) }()
}

func main() {
	serve(&caller{conns: map[string]*grpc.ClientConn{}})
	for _, name := range os.Args[1:] {
		serve(handler(name))
	}
	select {}
}
