package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
)

// askHTTP2 sends a request of HTTP/2 over a new connection, which ends with the response.
func (t Target) askHTTP2(req *http.Request) (*http.Response, error) {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return t.dial(ctx) }
	resp, err := tr.RoundTrip(req)
	if err != nil {
		tr.CloseIdleConnections()
		return nil, err
	}
	body := resp.Body
	resp.Body = connBody{body, func() error {
		defer tr.CloseIdleConnections()
		return body.Close()
	}}
	return resp, nil
}

// servingStatus are the words of HealthCheckResponse.ServingStatus in grpc.health.v1.
var servingStatus = []string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

// grpc calls Check of grpc.health.v1 over a new connection.
func (r *Result) grpc(ctx context.Context) {
	call := r.Target
	call.Path, call.Method = "/grpc.health.v1.Health/Check", http.MethodPost
	req, err := call.request(ctx)
	if err != nil {
		r.failed(err)
		return
	}
	message := appendFrame(nil, appendText(nil, 1, r.Path))
	req.ContentLength, req.Body = int64(len(message)), io.NopCloser(bytes.NewReader(message))
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("Te", "trailers")
	resp, err := r.askHTTP2(req)
	if err != nil {
		r.failed(err)
		return
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		r.failed(err)
		return
	}
	r.StatusCode = resp.StatusCode
	status := resp.Trailer.Get("Grpc-Status")
	if status == "" { // a response that is only trailers
		status = resp.Header.Get("Grpc-Status")
	}
	switch serving, ok := servingOf(answer); {
	case resp.StatusCode != http.StatusOK || status == "":
		r.Body = fmt.Sprintf("not an answer of gRPC: HTTP status %d", resp.StatusCode)
	case status == "12":
		r.Body = "the server does not implement grpc.health.v1"
	case status == "5":
		r.Body = "the server does not know the service " + r.Path
	case status != "0":
		r.Body = fmt.Sprintf("gRPC status %.10s", status)
	case !ok:
		r.Body = "malformed answer"
	default:
		r.Body, r.OK = servingStatus[serving], serving == 1
	}
}

// appendFrame appends a message of gRPC: not compressed, its length, its bytes.
func appendFrame(dst, message []byte) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, 0), uint32(len(message)))
	return append(dst, message...)
}

// appendText appends a string field of Protocol Buffers; nothing if it is empty.
func appendText(dst []byte, field byte, text string) []byte {
	if text == "" {
		return dst
	}
	dst = binary.AppendUvarint(append(dst, field<<3|2), uint64(len(text)))
	return append(dst, text...)
}

// servingOf reads the status in the frame of a HealthCheckResponse, whose only field is an enum with the number 1. An
// absent field is 0.
func servingOf(frame []byte) (status int, ok bool) {
	if len(frame) < 5 || frame[0] != 0 || int(binary.BigEndian.Uint32(frame[1:])) != len(frame)-5 {
		return 0, false
	}
	switch m := frame[5:]; {
	case len(m) == 0:
		return 0, true
	case len(m) == 2 && m[0] == 1<<3 && int(m[1]) < len(servingStatus):
		return int(m[1]), true
	}
	return 0, false
}
