// Command settings measures what the settings of producers cost and save on
// service metrics, by `smartlb kafka bench produce`: linger, compression, batch
// size and partitioning, against each of the given brokers. Rows are measured in
// rounds, one after the other, and the median of the rounds is printed, because
// machines are shared.
//
//	go run ./bench/settings -smartlb bin/smartlb -broker 'Kafka 3.9.2=127.0.0.1:9092:PID' -broker 'embedded=127.0.0.1:19092:PID'
//
// With PID, the process id of the broker, its CPU time is read from /proc.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// broker is one cluster to be measured.
type broker struct {
	name, address string
	pid           int // 0: not known
}

// setting is one row.
type setting struct {
	group, name string
	flags       []string
}

// result is what one run of a row gave; JSON names are those of kafka bench.
type result struct {
	PerSecond float64 `json:"recordsPerSecond"`
	CPU       float64 `json:"cpuMicrosPerRecord"`
	LogBytes  float64 `json:"logBytesPerRecord"`
	Records   float64 `json:"records"`
	Spread    []int64 `json:"recordsPerPartition"`
	Latency   struct {
		P50 float64 `json:"p50"`
		P99 float64 `json:"p99"`
	} `json:"latencyMs"`
	brokerCPU float64
}

func rows(seconds string) []setting {
	paced := func(group, name string, flags ...string) setting {
		return setting{group, name, append([]string{"-n", "0", "--for", seconds, "--rate", "2000"}, flags...)}
	}
	full := func(group, name string, flags ...string) setting {
		return setting{group, name, append([]string{"-n", "400000", "--for", "30s"}, flags...)}
	}
	return []setting{
		paced("linger, 2,000/s, zstd", "0 ms", "--linger", "0s"), paced("linger, 2,000/s, zstd", "5 ms", "--linger", "5ms"),
		paced("linger, 2,000/s, zstd", "20 ms", "--linger", "20ms"), paced("linger, 2,000/s, zstd", "100 ms", "--linger", "100ms"),
		paced("compression, 2,000/s, 100 ms", "none", "--linger", "100ms", "-z", "none"), paced("compression, 2,000/s, 100 ms", "gzip", "--linger", "100ms", "-z", "gzip"),
		paced("compression, 2,000/s, 100 ms", "snappy", "--linger", "100ms", "-z", "snappy"), paced("compression, 2,000/s, 100 ms", "lz4", "--linger", "100ms", "-z", "lz4"),
		paced("compression, 2,000/s, 100 ms", "zstd", "--linger", "100ms", "-z", "zstd"),
		full("largest batch, full speed, zstd", "16 KiB", "--batch", "16384"), full("largest batch, full speed, zstd", "128 KiB", "--batch", "131072"),
		full("largest batch, full speed, zstd", "1 MiB", "--batch", "1048576"), full("largest batch, full speed, zstd", "11 MiB", "--batch", "11534336"),
		paced("partitioning, 2,000/s, 100 ms, zstd", "by service id", "--linger", "100ms"), paced("partitioning, 2,000/s, 100 ms, zstd", "by service id, services of unequal size (Zipf 1)", "--linger", "100ms", "--skew", "1"),
		paced("partitioning, 2,000/s, 100 ms, zstd", "by service id, 3 services", "--linger", "100ms", "--services", "3", "--instances", "67"), paced("partitioning, 2,000/s, 100 ms, zstd", "no key", "--linger", "100ms", "--no-key"),
	}
}

func main() {
	program := flag.String("smartlb", "bin/smartlb", "binary")
	rounds := flag.Int("rounds", 3, "runs of each row")
	seconds := flag.String("for", "4s", "time of a paced row")
	var brokers []broker
	flag.Func("broker", "NAME=HOST:PORT[:PID], may be repeated", func(text string) error {
		name, rest, ok := strings.Cut(text, "=")
		parts := strings.Split(rest, ":")
		if !ok || len(parts) < 2 {
			return fmt.Errorf("NAME=HOST:PORT[:PID] is expected")
		}
		b := broker{name: name, address: parts[0] + ":" + parts[1]}
		if len(parts) > 2 {
			pid, err := strconv.Atoi(parts[2])
			if err != nil {
				return err
			}
			b.pid = pid
		}
		brokers = append(brokers, b)
		return nil
	})
	flag.Parse()
	if err := measure(*program, *seconds, *rounds, brokers); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure(program, seconds string, rounds int, brokers []broker) error {
	all := rows(seconds)
	got := map[string][]result{}
	for round := range rounds {
		for i, s := range all {
			for _, b := range brokers {
				r, err := run(program, b, s)
				if err != nil {
					return fmt.Errorf("%s, %s, %s: %w", b.name, s.group, s.name, err)
				}
				key := b.name + strconv.Itoa(i)
				got[key] = append(got[key], r)
				fmt.Fprintf(os.Stderr, "round %d: %s, %s, %s: %.0f/s\n", round+1, b.name, s.group, s.name, r.PerSecond)
			}
		}
	}
	for _, b := range brokers {
		fmt.Printf("\n### %s\n\n| setting | | records/s | producer CPU us/record | broker CPU us/record | log bytes/record | p50 ms | p99 ms | share of the fullest partition |\n|---|---|---|---|---|---|---|---|---|\n", b.name)
		for i, s := range all {
			rs := got[b.name+strconv.Itoa(i)]
			m := func(f func(result) float64) float64 { return median(rs, f) }
			fmt.Printf("| %s | %s | %.0f | %.1f | %.1f | %.0f | %.1f | %.1f | %.0f %% |\n", s.group, s.name, m(func(r result) float64 { return r.PerSecond }),
				m(func(r result) float64 { return r.CPU }), m(func(r result) float64 { return r.brokerCPU }), m(func(r result) float64 { return r.LogBytes }),
				m(func(r result) float64 { return r.Latency.P50 }), m(func(r result) float64 { return r.Latency.P99 }), m(fullest))
		}
	}
	return nil
}

func fullest(r result) float64 {
	var most, total int64
	for _, n := range r.Spread {
		most, total = max(most, n), total+n
	}
	return 100 * float64(most) / float64(max(total, 1))
}

func median(rs []result, f func(result) float64) float64 {
	values := make([]float64, len(rs))
	for i, r := range rs {
		values[i] = f(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func run(program string, b broker, s setting) (result, error) {
	before := cpuMicros(b.pid)
	cmd := exec.Command(program, append([]string{"kafka", "bench", "produce", "-o", "json", "-b", b.address}, s.flags...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return result{}, err
	}
	var r result
	if err := json.Unmarshal(out, &r); err != nil {
		return result{}, err
	}
	if b.pid > 0 && r.Records > 0 {
		r.brokerCPU = (cpuMicros(b.pid) - before) / r.Records
	}
	return r, nil
}

// ticksPerSecond is USER_HZ, 100 on every Linux that matters here.
const ticksPerSecond = 100

// cpuMicros is the CPU time of a process so far; 0 where it is not known.
func cpuMicros(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / ticksPerSecond * 1e6
}
