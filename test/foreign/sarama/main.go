// Command foreign is IBM's Go client, the one that kafkactl is made of, as a
// program that knows nothing of smartlb. See ../README.md.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/IBM/sarama"
)

type line struct {
	Key     *string           `json:"key"`
	Value   *string           `json:"value"`
	Headers map[string]string `json:"headers"`
}

func main() {
	log.SetFlags(0)
	broker, verb, a := os.Args[1], os.Args[2], os.Args[3:]
	var err error
	switch verb {
	case "produce":
		err = produce(broker, a[0], a[1])
	case "consume":
		n, _ := strconv.Atoi(a[2])
		err = consume(broker, a[0], a[1], n)
	case "transact":
		err = transact(broker, a[0])
	case "big":
		size, _ := strconv.Atoi(a[1])
		err = big(broker, a[0], size)
	case "topics":
		err = topics(broker)
	case "count":
		err = count(broker, a[0])
	default:
		err = fmt.Errorf("no verb %q", verb)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	c.Producer.Return.Successes, c.Producer.RequiredAcks = true, sarama.WaitForAll
	return c
}

func encoder(s *string) sarama.Encoder {
	if s == nil {
		return nil
	}
	return sarama.StringEncoder(*s)
}

func produce(broker, topic, codec string) error {
	c := config()
	if err := c.Producer.Compression.UnmarshalText([]byte(codec)); err != nil {
		return err
	}
	p, err := sarama.NewSyncProducer([]string{broker}, c)
	if err != nil {
		return err
	}
	defer p.Close()
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var l line
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			return err
		}
		m := &sarama.ProducerMessage{Topic: topic, Key: encoder(l.Key), Value: encoder(l.Value)}
		for k, v := range l.Headers {
			m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(k), Value: []byte(v)})
		}
		if _, _, err := p.SendMessage(m); err != nil {
			return err
		}
	}
	return in.Err()
}

// reader hands the group's messages to one goroutine.
type reader struct{ out chan *sarama.ConsumerMessage }

func (reader) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (reader) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (r reader) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case m, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			s.MarkMessage(m, "")
			r.out <- m
		case <-s.Context().Done():
			return nil
		}
	}
}

func text(b []byte) *string {
	if b == nil {
		return nil
	}
	s := string(b)
	return &s
}

func consume(broker, topic, group string, n int) error {
	c := config()
	c.Consumer.Offsets.Initial, c.Consumer.IsolationLevel = sarama.OffsetOldest, sarama.ReadCommitted
	c.Consumer.Fetch.Default = 11534336
	g, err := sarama.NewConsumerGroup([]string{broker}, group, c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, ended := make(chan *sarama.ConsumerMessage), make(chan error, 1)
	go func() { ended <- g.Consume(ctx, []string{topic}, reader{out}) }()
	enc := json.NewEncoder(os.Stdout)
	for range n {
		select {
		case m := <-out:
			l := line{Key: text(m.Key), Value: text(m.Value), Headers: map[string]string{}}
			for _, h := range m.Headers {
				l.Headers[string(h.Key)] = string(h.Value)
			}
			if err := enc.Encode(l); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return err
		}
	}
	cancel()
	<-ended
	return g.Close()
}

func transact(broker, topic string) error {
	c := config()
	c.Producer.Idempotent, c.Net.MaxOpenRequests, c.Producer.Transaction.ID = true, 1, "foreign-sarama"
	p, err := sarama.NewSyncProducer([]string{broker}, c)
	if err != nil {
		return err
	}
	defer p.Close()
	for _, how := range []string{"committed", "aborted", "committed"} {
		if err := p.BeginTxn(); err != nil {
			return err
		}
		for i := range 3 {
			m := &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(fmt.Sprint("k", i)), Value: sarama.StringEncoder(how)}
			if _, _, err := p.SendMessage(m); err != nil {
				return err
			}
		}
		end := p.CommitTxn
		if how == "aborted" {
			end = p.AbortTxn
		}
		if err := end(); err != nil {
			return err
		}
	}
	return nil
}

func big(broker, topic string, size int) error {
	c := config()
	c.Producer.MaxMessageBytes = 20_000_000
	sarama.MaxRequestSize = 100 << 20
	p, err := sarama.NewSyncProducer([]string{broker}, c)
	if err != nil {
		return err
	}
	defer p.Close()
	_, _, err = p.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.ByteEncoder(make([]byte, size))})
	if err != nil {
		fmt.Println(err)
		return nil
	}
	fmt.Println("ok")
	return nil
}

// topics prints what an administrator's tool shows: names, partitions, settings.
func topics(broker string) error {
	admin, err := sarama.NewClusterAdmin([]string{broker}, config())
	if err != nil {
		return err
	}
	defer admin.Close()
	all, err := admin.ListTopics()
	if err != nil {
		return err
	}
	for name, t := range all {
		retention := ""
		if r := t.ConfigEntries["retention.ms"]; r != nil {
			retention = *r
		}
		fmt.Println(name, t.NumPartitions, t.ReplicationFactor, retention)
	}
	return nil
}

// count reads a topic from its beginning to its present end, all partitions at
// once, and prints how many records there are.
func count(broker, topic string) error {
	c := config()
	client, err := sarama.NewClient([]string{broker}, c)
	if err != nil {
		return err
	}
	defer client.Close()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return err
	}
	defer consumer.Close()
	partitions, err := client.Partitions(topic)
	if err != nil {
		return err
	}
	counted, failed := make(chan int), make(chan error, len(partitions))
	for _, p := range partitions {
		end, err := client.GetOffset(topic, p, sarama.OffsetNewest)
		if err != nil {
			return err
		}
		pc, err := consumer.ConsumePartition(topic, p, sarama.OffsetOldest)
		if err != nil {
			return err
		}
		go func() {
			n := 0
			for at := int64(0); at < end; {
				select {
				case m := <-pc.Messages():
					at = m.Offset + 1
					n++
				case <-time.After(10 * time.Second):
					failed <- fmt.Errorf("partition %d: nothing came after offset %d of %d", p, at, end)
					return
				}
			}
			counted <- n
		}()
	}
	total := 0
	for range partitions {
		select {
		case n := <-counted:
			total += n
		case err := <-failed:
			return err
		}
	}
	fmt.Println(total)
	return nil
}
