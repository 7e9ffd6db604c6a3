package kafkacmd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/records"
)

// shipment is one produce command in progress.
type shipment struct {
	env     *cli.Env
	args    produceArgs
	kafka   kafka.Config
	headers []kafka.Header
	sender  *records.Sender
	ticker  *ticker
	began   time.Time
	queued  int64
	invalid int64 // records that do not conform
}

// warnings is the number of non-conforming records with a warning of their own.
const warnings = 3

func (s *shipment) sendAll(ctx context.Context) error {
	a := s.args
	switch {
	case a.value != nil:
		return s.send(ctx, kafka.Record{Value: []byte(*a.value)})
	case a.tombstone:
		return s.send(ctx, kafka.Record{})
	case a.file != "":
		value, err := content(a.file)
		if err != nil {
			return err
		}
		return s.send(ctx, kafka.Record{Value: value})
	}
	in, forget := interruptible(ctx, s.env.In)
	defer forget()
	return eachLine(in, func(n int, line []byte) error {
		r, err := s.record(line)
		if err == nil {
			err = s.send(ctx, r)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		return nil
	})
}

// tickEvery is the number of records between two checks whether progress is due: reading the time costs as much as
// queueing a record.
const tickEvery = 256

// content reads a value from a file. A file of more than kafka.MaxValueBytes is an error; it is not read to its end.
func content(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	value, err := io.ReadAll(io.LimitReader(f, kafka.MaxValueBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(value) > kafka.MaxValueBytes {
		return nil, fmt.Errorf("%s: the value must not have more than %d bytes", path, kafka.MaxValueBytes)
	}
	return value, nil
}

// record builds a record from a line of stdin.
func (s *shipment) record(line []byte) (kafka.Record, error) {
	switch {
	case s.args.asJSON:
		m, err := records.ParseMessage(line)
		if err != nil {
			return kafka.Record{}, err
		}
		return m.Record()
	case s.args.keySplit != "":
		key, value, found := bytes.Cut(line, []byte(s.args.keySplit))
		if !found {
			return kafka.Record{}, fmt.Errorf("no delimiter %q between key and value", s.args.keySplit)
		}
		return kafka.Record{Key: key, Value: value}, nil
	}
	return kafka.Record{Value: line}, nil
}

func (s *shipment) send(ctx context.Context, r kafka.Record) error {
	a := s.args
	if r.Key == nil && a.key != "" {
		r.Key = []byte(a.key)
	}
	r.Headers = append(r.Headers, s.headers...)
	if err := event.Conforms(a.topic, r.Value); err != nil && r.Value != nil {
		if a.validate {
			return fmt.Errorf("not sent: the value does not conform to %s: %w", a.topic, err)
		}
		if s.invalid++; s.invalid <= warnings {
			s.env.Say("warning: the value does not conform to %s: %v", a.topic, err)
		}
	}
	if err := s.pace(ctx); err != nil {
		return err
	}
	if s.queued++; s.queued%tickEvery == 0 || s.args.rate > 0 {
		s.ticker.tick(func() string {
			records, size := s.sender.Progress()
			spent := time.Since(s.began).Seconds()
			return fmt.Sprintf("%d records, %s sent, %.0f records/s", records, bytesOf(size), float64(records)/spent)
		})
	}
	if a.sign {
		r.Topic = a.topic
		r = s.kafka.Signed(r, time.Now())
	}
	return s.sender.Send(ctx, r)
}

// pace waits until the next record is due by --rate.
func (s *shipment) pace(ctx context.Context) error {
	if s.args.rate <= 0 {
		return ctx.Err()
	}
	due := s.began.Add(time.Duration(float64(s.queued) / s.args.rate * float64(time.Second)))
	t := time.NewTimer(time.Until(due))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (s *shipment) conclude() {
	if s.invalid > warnings {
		s.env.Say("warning: %d values in total do not conform to %s", s.invalid, s.args.topic)
	}
}

// interruptible returns a reader of r that ends when ctx ends, because a read from a terminal cannot be cancelled. The
// goroutine that reads r ends at the end of r, after its current read if forget was called, or with the process.
func interruptible(ctx context.Context, r io.Reader) (in io.Reader, forget func()) {
	out, write := io.Pipe()
	go func() {
		_, err := io.Copy(write, r)
		write.CloseWithError(err)
	}()
	stop := context.AfterFunc(ctx, func() { write.CloseWithError(ctx.Err()) })
	return out, func() {
		stop()
		out.Close()
	}
}

// eachLine passes each line of r to f, without the line end. It omits empty lines.
func eachLine(r io.Reader, f func(n int, line []byte) error) error {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 64<<10), 4*kafka.MaxValueBytes) // the largest value, escaped as JSON
	var copies []byte                                         // records use these bytes until delivery; one allocation holds many lines
	for n := 1; in.Scan(); n++ {
		line := in.Bytes()
		if len(line) == 0 {
			continue
		}
		if len(line) > cap(copies)-len(copies) {
			copies = make([]byte, 0, max(64<<10, len(line)))
		}
		from := len(copies)
		copies = append(copies, line...)
		if err := f(n, copies[from:len(copies):len(copies)]); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("stdin: %w", err)
	}
	return nil
}
