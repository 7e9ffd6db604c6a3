package broker

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fill gives the fields of a request values, so that there is something to
// damage: topics that exist and such that do not, small and absurd numbers,
// lists of up to two.
func fill(rng *rand.Rand, v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		if rng.IntN(4) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(rng, v.Elem(), depth+1)
		}
	case reflect.Struct:
		if _, tags := v.Addr().Interface().(*kmsg.Tags); tags {
			return
		}
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() && v.Type().Field(i).Name != "Version" {
				fill(rng, f, depth+1)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			b := make([]byte, rng.IntN(100))
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			if rng.IntN(2) == 0 {
				b = plainBatch(rng)
			}
			v.SetBytes(b)
			return
		}
		n := rng.IntN(3)
		if depth > 8 {
			n = 0
		}
		s := reflect.MakeSlice(v.Type(), n, n)
		for i := range n {
			fill(rng, s.Index(i), depth+1)
		}
		v.Set(s)
	case reflect.Array:
		for i := range v.Len() {
			fill(rng, v.Index(i), depth+1)
		}
	case reflect.String:
		names := []string{"a", "b", "group", "txn", "", "no such topic", "0", "ann", "PLAIN", "retention.ms", "class", "range", "consumer"}
		v.SetString(names[rng.IntN(len(names))])
	case reflect.Bool:
		v.SetBool(rng.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		small := []int64{-2, -1, 0, 0, 0, 1, 1, 2, 3, 100, 1000, 30000}
		n := small[rng.IntN(len(small))]
		if rng.IntN(10) == 0 {
			n = int64(rng.Uint64())
		}
		v.SetInt(n)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(rng.Uint64N(256))
	case reflect.Float64, reflect.Float32:
		v.SetFloat(rng.NormFloat64())
	}
}

// requestOf makes a frame, with its length, of a request with random fields.
func requestOf(rng *rand.Rand, key, version int16, correlation int32) []byte {
	req := kmsg.RequestForKey(key)
	fill(rng, reflect.ValueOf(req).Elem(), 0)
	req.SetVersion(version)
	// Waits are short, or the test would spend its time in them.
	switch r := req.(type) {
	case *kmsg.FetchRequest:
		r.MaxWaitMillis = min(r.MaxWaitMillis, 10)
	case *kmsg.ShareFetchRequest:
		r.MaxWaitMillis = min(r.MaxWaitMillis, 10)
	}
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("mutant")).AppendRequest(nil, req, correlation)
}

// plainBatch makes a record batch of one to three records, uncompressed.
func plainBatch(rng *rand.Rand) []byte {
	var records []byte
	n := 1 + rng.Int32N(3)
	for i := range n {
		r := kmsg.Record{OffsetDelta: i, Value: []byte("value")}
		r.Length = int32(len(r.AppendTo(nil)) - 1)
		records = r.AppendTo(records)
	}
	b := kmsg.RecordBatch{
		Magic: 2, LastOffsetDelta: n - 1, FirstTimestamp: 1000, MaxTimestamp: 1000,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: n, Records: records,
	}
	b.Length = int32(len(b.AppendTo(nil)) - 12)
	b.CRC = int32(crc32.Checksum(b.AppendTo(nil)[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b.AppendTo(nil)
}

// exchange sends a frame over a connection of its own and checks that what
// comes back, if anything, answers it.
func exchange(address string, frame []byte, key, version int16, correlation int32, damaged bool) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(40 * time.Millisecond)) // group requests wait for company; they may
	if _, err := c.Write(frame); err != nil {
		return nil
	}
	var head [8]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil // closed, or still waiting
	}
	if got := int32(binary.BigEndian.Uint32(head[4:])); got != correlation && !damaged {
		return errors.New("the answer is for another request")
	}
	size := int(binary.BigEndian.Uint32(head[:])) - 4
	if size < 0 || size > 64<<20 {
		return errors.New("the answer has an absurd size")
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(c, body); err != nil {
		return nil
	}
	if damaged {
		return nil // it may be a request of another kind by now
	}
	resp := kmsg.ResponseForKey(key)
	resp.SetVersion(version)
	if resp.IsFlexible() && key != keyAPIVersions && len(body) > 0 {
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil && key != keyAPIVersions {
		return errors.New("the answer cannot be read: " + err.Error())
	}
	return nil
}

// TestRequestsOfEveryKindDamagedOrNotNeverKillTheBroker sends requests of every
// key and version that exist, as they are and with bytes changed. kfake runs in
// this process: were it to panic, the test would end there.
func TestRequestsOfEveryKindDamagedOrNotNeverKillTheBroker(t *testing.T) {
	rounds := 1
	if os.Getenv("SMARTLB_SOAK") != "" {
		rounds = 60
	}
	r := start(t, config(t.TempDir()))
	for _, topic := range []string{"a", "b"} {
		if err := r.create(t, topic, nil); err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	correlation := int32(0)
	sent := 0
	for range rounds {
		for key := range int16(kmsg.MaxKey + 2) {
			req := kmsg.RequestForKey(key)
			if req == nil {
				continue
			}
			for version := int16(0); version <= req.MaxVersion(); version++ {
				for kind := range 3 {
					correlation++
					frame := requestOf(rng, key, version, correlation)
					for range kind * (1 + rng.IntN(3)) {
						frame[8+rng.IntN(len(frame)-8)] ^= 1 << rng.IntN(8) // behind length, key and version
					}
					if err := exchange(r.Bound(), frame, key, version, correlation, kind > 0); err != nil {
						t.Errorf("key %d version %d, changed %v: %v", key, version, kind > 0, err)
					}
					sent++
				}
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := r.adm.ListTopics(ctx); err != nil {
		t.Errorf("after %d requests the broker does not answer: %v", sent, err)
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 256<<20 {
		t.Errorf("after %d requests %d MiB are in use", sent, m.HeapAlloc>>20)
	}
	t.Logf("%d requests, %d MiB in use", sent, m.HeapAlloc>>20)
}

// FuzzBroker hands frames to a broker in this process: it may close the
// connection, never die, and answer none but the request that was sent.
func FuzzBroker(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 4))
	for key := range int16(kmsg.MaxKey + 2) {
		if req := kmsg.RequestForKey(key); req != nil {
			f.Add(requestOf(rng, key, req.MaxVersion(), 7)[4:])
		}
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	cfg := config(f.TempDir())
	b, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	<-b.Ready()
	f.Cleanup(func() { cancel(); <-done })
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > 1<<16 {
			return
		}
		framed := append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)
		if err := exchange(b.Bound(), framed, 0, 0, 0, true); err != nil {
			t.Fatal(err)
		}
	})
}
