// Start measures the local Kafka stack in each runtime and mode: how long until
// all is healthy, what it takes, how long until it serves again after a kill -9
// of the broker, and how long a stop takes.
//
//	go run ./bench/start -smartlb bin/smartlb
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/smartlb/smartlb/bench/rig"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/stack/distribution"
)

// kinds of stack, with their flags.
var kinds = []struct {
	name  string
	flags []string
}{
	{"embedded", []string{"--runtime", "embedded"}},
	{"zookeeper", []string{"--runtime", "jvm", "--mode", "zookeeper"}},
	{"kraft", []string{"--runtime", "jvm", "--mode", "kraft"}},
}

// sample is one life of a stack.
type sample struct {
	Kind     string
	First    float64 // seconds of smartlb kafka start on an empty folder
	Again    float64 // and on the data of the first
	RSS      map[string]int64
	Recovery float64 // seconds from kill -9 of the broker to a record that it acknowledges; 0: nobody starts it again
	Stop     float64 // seconds of smartlb kafka stop
}

func main() {
	smartlb := flag.String("smartlb", "bin/smartlb", "the binary to measure")
	results := flag.String("results", "bench/results", "where to write")
	runs := flag.Int("runs", 3, "lives of each kind")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	program, err := filepath.Abs(*smartlb)
	if err != nil {
		log.Fatal(err)
	}
	jars, err := distribution.Root(os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	install := exec.CommandContext(ctx, program, "kafka", "install", "--mode", "all", "--dir", jars)
	install.Stderr = os.Stderr
	if err := install.Run(); err != nil {
		log.Fatal(err)
	}
	var all []sample
	for range *runs {
		for _, k := range kinds {
			s, err := live(ctx, program, jars, k.name, k.flags)
			if err != nil {
				log.Fatal(fmt.Errorf("%s: %w", k.name, err))
			}
			fmt.Fprintf(os.Stderr, "%s: first %.2f s, again %.2f s, RSS %.0f MiB, recovery %.2f s, stop %.2f s\n",
				s.Kind, s.First, s.Again, mib(s.total()), s.Recovery, s.Stop)
			all = append(all, s)
		}
	}
	if err := page(program, *results, *runs, all); err != nil {
		log.Fatal(err)
	}
}

// stack is one under measurement.
type stack struct {
	program string
	env     []string
	broker  string
	flags   []string
}

func (s stack) run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, s.program, append([]string{"kafka"}, args...)...)
	cmd.Env = s.env
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%v: %w: %s", args, err, words.String())
	}
	return out.Bytes(), nil
}

// timed is run, in seconds.
func (s stack) timed(ctx context.Context, args ...string) (float64, error) {
	began := time.Now()
	_, err := s.run(ctx, args...)
	return time.Since(began).Seconds(), err
}

type service struct {
	Name   string `json:"name"`
	PID    int    `json:"pid"`
	Memory int64  `json:"memory"`
}

func live(ctx context.Context, program, jars, kind string, flags []string) (s sample, err error) {
	s.Kind = kind
	dir, err := os.MkdirTemp("", "smartlb-bench-start")
	if err != nil {
		return s, err
	}
	defer os.RemoveAll(dir)
	at, err := lowAddrs(5)
	if err != nil {
		return s, err
	}
	st := stack{program: program, env: append(os.Environ(), "SMARTLB_STATE_DIR="+dir, "SMARTLB_KAFKA_DIR="+jars), broker: at[0]}
	st.flags = append([]string{"start", "--broker-listen", at[0], "--broker-internal", at[1], "--console", at[2], "--connect", at[3], "--zookeeper", at[4], "--controller", at[4]}, flags...)
	defer func() {
		_, stopped := st.run(context.WithoutCancel(ctx), "stop")
		err = errors.Join(err, stopped)
	}()
	if s.First, err = st.timed(ctx, st.flags...); err != nil {
		return s, err
	}
	if s.Stop, err = st.timed(ctx, "stop"); err != nil {
		return s, err
	}
	if s.Again, err = st.timed(ctx, st.flags...); err != nil {
		return s, err
	}
	if kind != "embedded" {
		if s.Recovery, err = st.recovery(ctx); err != nil {
			return s, err
		}
	}
	services, err := st.services(ctx)
	if err != nil {
		return s, err
	}
	s.RSS = map[string]int64{}
	for _, x := range services {
		s.RSS[x.Name] = x.Memory
	}
	return s, nil
}

// services reads the status, and adds the supervisor, which is in none.
func (s stack) services(ctx context.Context) ([]service, error) {
	out, err := s.run(ctx, "status", "-o", "json")
	if err != nil {
		return nil, err
	}
	var status struct {
		State    string
		Services []service
	}
	if err := json.Unmarshal(out, &status); err != nil {
		return nil, err
	}
	var supervisor service
	if b, err := os.ReadFile(filepath.Join(status.State, "supervisor.pid")); err == nil && json.Unmarshal(b, &supervisor) == nil {
		supervisor.Name = "supervisor"
		if supervisor.Memory, err = rig.PSS(supervisor.PID); err != nil {
			return nil, err
		}
		status.Services = append(status.Services, supervisor)
	}
	return status.Services, nil
}

// recovery kills the broker and sends a record until it is acknowledged.
func (s stack) recovery(ctx context.Context) (float64, error) {
	services, err := s.services(ctx)
	if err != nil {
		return 0, err
	}
	for _, x := range services {
		if x.Name == "kafka" {
			if err := syscall.Kill(x.PID, syscall.SIGKILL); err != nil {
				return 0, err
			}
		}
	}
	began := time.Now()
	const startTimeout = 2 * time.Minute
	for time.Since(began) < startTimeout {
		if s.send(ctx) == nil {
			return time.Since(began).Seconds(), nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return 0, errors.New("the broker does not come back")
}

// send sends one record with a client of its own, which knows nothing yet.
func (s stack) send(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	cfg := kafka.Default()
	cfg.Brokers, cfg.Linger, cfg.DialTimeout = []string{s.broker}, 0, 200*time.Millisecond
	cfg.RequestTimeout, cfg.DeliveryTimeout = time.Second, time.Second
	p, err := kafka.NewProducer(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	_, err = p.SendSync(ctx, kafka.Record{Topic: "service-metrics", Key: []byte("bench"), Value: []byte(`{"test": "message"}`)})
	return errors.Join(err, p.Close(ctx))
}

// lowAddrs finds free addresses below the ports that the kernel gives to
// outgoing connections: they must be free again after a stop.
func lowAddrs(n int) ([]string, error) {
	var out []string
	for port := 14000 + os.Getpid()%8000; len(out) < n && port < 32000; port++ {
		at := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", at)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
		out = append(out, at)
	}
	if len(out) < n {
		return nil, errors.New("no free ports")
	}
	return out, nil
}
