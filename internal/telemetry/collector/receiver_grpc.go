package collector

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/otlpmetrics"
)

const pathGRPC = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"

// serveGRPC answers a unary call (gRPC over HTTP2, PROTOCOL-HTTP2.md): a request and a response of one message each.
func (r *Receiver) serveGRPC(w http.ResponseWriter, req *http.Request) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(maxReceipt)) // without it the server has its own
	h := w.Header()
	if kind := req.Header.Get("Content-Type"); req.ProtoMajor != 2 || req.Method != http.MethodPost || kind != "application/grpc" && kind != "application/grpc+proto" {
		r.requests[RequestMalformed].Add(1)
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return
	}
	h.Set("Content-Type", "application/grpc")
	body, no := r.takeCall(req)
	if no != nil {
		r.requests[no.result].Add(1)
		h.Set("Grpc-Status", strconv.Itoa(no.code))
		h.Set("Grpc-Message", percentEncoded(no.text))
		w.WriteHeader(http.StatusOK)
		return
	}
	r.requests[RequestTaken].Add(1)
	h.Set("Trailer", "Grpc-Status")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body))), body...)) // the sender is gone
	h.Set("Grpc-Status", "0")
}

// takeCall reads the message of a call and publishes its metrics. It returns the message of the response.
func (r *Receiver) takeCall(req *http.Request) ([]byte, *refusal) {
	leave, no := r.admit(req)
	if no != nil {
		return nil, no
	}
	defer leave()
	var head [5]byte
	if _, err := io.ReadFull(req.Body, head[:]); err != nil {
		return nil, &refusal{result: RequestMalformed, code: codeInvalidArgument, text: "the call has no message"}
	}
	size := int64(binary.BigEndian.Uint32(head[1:]))
	if size > maxBody {
		return nil, tooLarge(fmt.Sprintf("the message is larger than %d MiB; send fewer points at once", maxBody>>20))
	}
	encoding := ""
	if head[0] != 0 {
		encoding = req.Header.Get("Grpc-Encoding")
	}
	message := &io.LimitedReader{R: req.Body, N: size}
	body, no := read(message, encoding)
	if no != nil {
		return nil, no
	}
	if message.N > 0 {
		return nil, &refusal{result: RequestMalformed, code: codeInvalidArgument, text: "the message is cut"}
	}
	return r.evaluate(body, otlpmetrics.Proto, false)
}

// percentEncoded returns a text as Grpc-Message has it.
func percentEncoded(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
