package otlpmetrics

import (
	"encoding/json"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Partial returns the response to a request that was accepted, except for the rejected points. With 0 rejected points and no
// message it says that everything was accepted.
func Partial(rejected int, message string, asJSON bool) []byte {
	if asJSON {
		type partial struct {
			RejectedDataPoints string `json:"rejectedDataPoints,omitempty"`
			ErrorMessage       string `json:"errorMessage,omitempty"`
		}
		var r struct {
			PartialSuccess *partial `json:"partialSuccess,omitempty"`
		}
		if rejected > 0 || message != "" {
			r.PartialSuccess = &partial{strconv.Itoa(rejected), message}
		}
		b, _ := json.Marshal(r) // two strings
		return b
	}
	if rejected == 0 && message == "" {
		return nil
	}
	var partial []byte
	partial = protowire.AppendTag(partial, 1, protowire.VarintType)
	partial = protowire.AppendVarint(partial, uint64(rejected))
	partial = protowire.AppendTag(partial, 2, protowire.BytesType)
	partial = protowire.AppendString(partial, message)
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), partial)
}

// Status returns the body of a refusal, google.rpc.Status with a code of gRPC.
func Status(code int, message string, asJSON bool) []byte {
	if asJSON {
		b, _ := json.Marshal(struct { // a number and a string
			Code    int    `json:"code"`
			Message string `json:"message"`
		}{code, message})
		return b
	}
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(code))
	return protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), message)
}
