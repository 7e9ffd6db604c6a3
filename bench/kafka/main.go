// Command kafka measures what linger, compression and batch size cost and save
// on service-metrics messages as proxies send them: CPU of the producer and of
// the broker per message, and bytes in the broker's log per message. It starts
// a broker process of its own for each row.
//
//	go run ./bench/kafka -smartlb bin/smartlb
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

func main() {
	program := flag.String("smartlb", "bin/smartlb", "binary")
	instances := flag.Int("instances", 200, "instances that report each second")
	seconds := flag.Int("seconds", 5, "of each row")
	flag.Parse()
	fmt.Printf("| linger | compression | producer CPU us/msg | broker CPU us/msg | log bytes/msg |\n|---|---|---|---|---|\n")
	for _, compression := range []string{"none", "lz4", "snappy", "zstd"} {
		if err := row(*program, 20*time.Millisecond, compression, *instances, *seconds); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	for _, linger := range []time.Duration{0, 5 * time.Millisecond, 100 * time.Millisecond} {
		if err := row(*program, linger, "zstd", *instances, *seconds); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// row sends instances messages each second, spread as a fleet's ticks are.
func row(program string, linger time.Duration, compression string, instances, seconds int) error {
	dir, err := os.MkdirTemp("", "bench-kafka")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	broker := exec.Command(program, "run", "--roles", "broker", "--data", dir, "--broker-listen", addr, "--broker-internal", "")
	if err := broker.Start(); err != nil {
		return err
	}
	defer func() { _ = broker.Process.Signal(syscall.SIGTERM); _ = broker.Wait() }()
	cfg := kafka.Default()
	cfg.Brokers, cfg.Linger, cfg.Compression = []string{addr}, linger, compression
	if err := ready(cfg); err != nil {
		return err
	}
	p, err := kafka.NewProducer(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	sizeBefore := logBytes(dir)
	own, theirs := cpu(os.Getpid()), cpu(broker.Process.Pid)
	send(p, instances, seconds)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := errors.Join(p.Flush(ctx), p.Close(ctx)); err != nil {
		return err
	}
	n := float64(p.Stats().Delivered())
	fmt.Printf("| %s | %s | %.1f | %.1f | %.0f |\n", linger, compression,
		(cpu(os.Getpid())-own)/n/1e3, (cpu(broker.Process.Pid)-theirs)/n/1e3, float64(logBytes(dir)-sizeBefore)/n)
	return nil
}

func send(p *kafka.Producer, instances, seconds int) {
	ticker := time.NewTicker(time.Second / 10)
	defer ticker.Stop()
	for tick := range seconds * 10 {
		<-ticker.C
		// A tenth of the fleet each tenth of a second, each proxy's report in one go.
		for i := tick % 10; i < instances; i += 10 {
			service := "service-" + strconv.Itoa(i%20)
			m := event.ServiceMetrics{
				Timestamp: time.Now().UTC(), ServiceID: service, InstanceID: service + "-" + strconv.Itoa(i/20),
				Metrics: event.Metrics{RPS: event.Some(float64(100 + i)), P95Latency: event.Some(45.2 + float64(i)/7), ErrorRate: event.Some(0), ActiveConnections: event.Some(float64(i % 30))},
				Tags:    map[string]string{"environment": "production", "region": "us-east-1"},
			}
			p.Send(kafka.Record{Topic: event.TopicServiceMetrics, Key: []byte(service), Value: m.AppendJSON(nil),
				Headers: []kafka.Header{{Key: event.HeaderReporter, Value: []byte("proxy/node-1")}}})
		}
	}
}

func ready(cfg kafka.Config) error {
	a, err := kafka.NewAdmin(cfg)
	if err != nil {
		return err
	}
	defer a.Close()
	for range 200 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		c, err := a.Describe(ctx, event.TopicServiceMetrics)
		cancel()
		if err == nil && len(c.Topics) == 1 {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("broker is not ready")
}

// cpu gives the nanoseconds that all threads of a process ran.
func cpu(pid int) float64 {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	var sum float64
	for _, f := range files {
		b, _ := os.ReadFile(f)
		v, _ := strconv.ParseFloat(strings.Fields(string(b) + " 0")[0], 64)
		sum += v
	}
	return sum
}

func logBytes(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(path, event.TopicServiceMetrics) {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
