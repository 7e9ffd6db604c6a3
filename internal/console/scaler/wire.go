package scaler

import (
	"errors"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Messages are read and written here, because they have few fields: generated code would be longer than this file. Their
// source is pkg/scalers/externalscaler/externalscaler.proto of KEDA 2.21.

// message is a message as bytes.
type message []byte

type byteCodec struct{}

func (byteCodec) Name() string { return "proto" }

func (byteCodec) Marshal(v any) ([]byte, error) { return *v.(*message), nil }

func (byteCodec) Unmarshal(b []byte, v any) error {
	*v.(*message) = append(message(nil), b...)
	return nil
}

// object is a ScaledObjectRef.
type object struct {
	name, namespace string
	metadata        map[string]string
}

const maxMetadata = 64 // entries

var errMessage = errors.New("the message is not as in externalscaler.proto")

// fields calls each for every field of bytes. Other fields are skipped.
func fields(b []byte, each func(number protowire.Number, value []byte) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errMessage
		}
		b = b[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
				return errMessage
			}
			b = b[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return errMessage
		}
		b = b[n:]
		if err := each(number, value); err != nil {
			return err
		}
	}
	return nil
}

func parseObject(b []byte) (o object, err error) {
	o.metadata = map[string]string{}
	err = fields(b, func(number protowire.Number, value []byte) error {
		switch number {
		case 1:
			o.name = string(value)
		case 2:
			o.namespace = string(value)
		case 3:
			var key, text string
			err := fields(value, func(number protowire.Number, value []byte) error {
				switch number {
				case 1:
					key = string(value)
				case 2:
					text = string(value)
				}
				return nil
			})
			if err != nil {
				return err
			}
			if o.metadata[key] = text; len(o.metadata) > maxMetadata {
				return errors.New("scalerMetadata: more than 64 entries")
			}
		}
		return nil
	})
	return o, err
}

// parseRequest reads a GetMetricsRequest.
func parseRequest(b []byte) (o object, metric string, err error) {
	var ref []byte
	err = fields(b, func(number protowire.Number, value []byte) error {
		switch number {
		case 1:
			ref = value
		case 2:
			metric = string(value)
		}
		return nil
	})
	if err != nil {
		return o, "", err
	}
	o, err = parseObject(ref)
	return o, metric, err
}

// isActive is an IsActiveResponse.
func isActive() message {
	return protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
}

// measured is a message with one metric and its number: a GetMetricSpecResponse, and a GetMetricsResponse, which have the
// same form. Earlier versions of KEDA read the whole number only.
func measured(metric string, v float64) message {
	m := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), metric)
	m = protowire.AppendVarint(protowire.AppendTag(m, 2, protowire.VarintType), uint64(math.Ceil(v)))
	m = protowire.AppendFixed64(protowire.AppendTag(m, 3, protowire.Fixed64Type), math.Float64bits(v))
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), m)
}
