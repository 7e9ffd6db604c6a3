// Listing measures the console on a cluster with many topics and many consumer
// groups: how long its lists take, and what it costs to keep looking.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/bench/rig"
	"github.com/smartlb/smartlb/bench/stats"
)

// maxMemory is what the console may take, bytes.
const maxMemory = 150 << 20

func main() {
	smartlb := flag.String("smartlb", "bin/smartlb", "the binary to measure")
	results := flag.String("results", "bench/results", "where to write")
	topics := flag.Int("topics", 5000, "topics of three partitions")
	groups := flag.Int("groups", 1000, "consumer groups, each with commits in five topics")
	rounds := flag.Int("rounds", 30, "calls of each list")
	kafka := flag.String("kafka", "", "brokers of an empty cluster; none: an embedded broker of its own")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *smartlb, *results, *kafka, *topics, *groups, *rounds); err != nil {
		log.Fatal(err)
	}
}

// list is one call of the API, or one page in a browser, repeated.
type list struct {
	Name  string
	Bytes int
	Ms    []float64
}

func run(ctx context.Context, smartlb, results, brokers string, topics, groups, rounds int) (err error) {
	program, err := filepath.Abs(smartlb)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "smartlb-bench-listing")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	addrs, err := rig.FreeAddrs(2)
	if err != nil {
		return err
	}
	runtime := "the cluster at " + brokers
	if brokers == "" {
		brokers, runtime = addrs[0], "an embedded broker"
		b, err := rig.StartBroker(ctx, dir, program, brokers)
		if err != nil {
			return err
		}
		defer b.Stop()
	}
	if err := fill(ctx, brokers, topics, groups); err != nil {
		return err
	}
	c, err := rig.StartConsole(ctx, dir, program, brokers, addrs[1])
	if err != nil {
		return err
	}
	defer c.Stop()
	url := "http://" + addrs[1]
	if err := c.AwaitOK(ctx, url+"/api/v1/node"); err != nil {
		return err
	}
	time.Sleep(30 * time.Second) // a few measures of the console itself
	before, began := rig.CPU(c.Pid), time.Now()
	time.Sleep(30 * time.Second)
	idle := (rig.CPU(c.Pid) - before).Seconds() / time.Since(began).Seconds()
	lists := []list{{Name: "GET /api/v1/topics"}, {Name: "GET /api/v1/groups"}, {Name: "GET /api/v1/cluster"}}
	for range rounds {
		for i := range lists {
			at := time.Now()
			body, err := rig.Get(ctx, url+strings.TrimPrefix(lists[i].Name, "GET "))
			if err != nil {
				return err
			}
			lists[i].Ms, lists[i].Bytes = append(lists[i].Ms, float64(time.Since(at).Microseconds())/1000), len(body)
		}
		time.Sleep(500 * time.Millisecond)
	}
	pages, err := browse(ctx, url)
	if err != nil {
		return err
	}
	memory, err := rig.PSS(c.Pid)
	if err != nil {
		return err
	}
	return page(program, results, runtime, topics, groups, append(lists, pages...), idle, memory)
}

// fill makes topics and groups.
func fill(ctx context.Context, brokers string, topics, groups int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(brokers, ",")...))
	if err != nil {
		return err
	}
	defer client.Close()
	adm := kadm.NewClient(client)
	name := func(i int) string { return fmt.Sprintf("bench-%05d", i) }
	const batch = 200
	for from := 0; from < topics; from += batch {
		var names []string
		for i := from; i < min(from+batch, topics); i++ {
			names = append(names, name(i))
		}
		made, err := adm.CreateTopics(ctx, 3, 1, nil, names...)
		if err == nil {
			err = made.Error()
		}
		if err != nil {
			return fmt.Errorf("create topics: %w", err)
		}
	}
	var sent []*kgo.Record
	for i := range topics {
		sent = append(sent, &kgo.Record{Topic: name(i), Value: []byte("{}")})
	}
	if err := client.ProduceSync(ctx, sent...).FirstErr(); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	for g := range groups {
		offsets := kadm.Offsets{}
		for i := range 5 {
			for p := range int32(3) {
				offsets.Add(kadm.Offset{Topic: name((g*5 + i) % topics), Partition: p, At: 0, LeaderEpoch: -1})
			}
		}
		if err := adm.CommitAllOffsets(ctx, fmt.Sprintf("group-%04d", g), offsets); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
	return nil
}

// browse opens the lists in Chromium; nothing where Node.js or the page's
// packages are missing.
func browse(ctx context.Context, url string) ([]list, error) {
	cmd := exec.CommandContext(ctx, "node", "bench/listing/page.mjs", url)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the pages in a browser: %w\n%s", err, out)
	}
	var pages []list
	for line := range strings.Lines(string(out)) {
		var p list
		if strings.HasPrefix(line, "{") {
			if err := json.Unmarshal([]byte(line), &p); err != nil {
				return nil, err
			}
			pages = append(pages, p)
		}
	}
	return pages, nil
}

func page(program, results, runtime string, topics, groups int, lists []list, idle float64, memory int64) error {
	r := rig.Report{Name: "console-listing"}
	r.Printf("# The console's lists\n\n")
	r.Versions(fmt.Sprintf("go run ./bench/listing -topics %d -groups %d", topics, groups), program)
	r.Printf("%d topics of three partitions and %d consumer groups, each with commits in 15 partitions, on %s; the console is a process of its own.\n\n", topics, groups, runtime)
	r.Printf("| | median ms | p95 ms | largest ms | bytes |\n|---|---|---|---|---|\n")
	for _, l := range lists {
		size := "–"
		if l.Bytes > 0 {
			size = fmt.Sprint(l.Bytes)
		}
		r.Printf("| %s | %.0f | %.0f | %.0f | %s |\n", l.Name, stats.Quantile(l.Ms, .5), stats.Quantile(l.Ms, .95), stats.Quantile(l.Ms, 1), size)
	}
	verdict := "met"
	if memory > maxMemory {
		verdict = "missed"
	}
	r.Printf("\nThe console holds %.0f MiB (PSS; at most %d wanted: %s) and takes %.1f %% of a core to keep measuring while nobody looks.\n", float64(memory)/(1<<20), maxMemory>>20, verdict, 100*idle)
	r.Printf("Pages are measured from the click in the address bar to the first row on the screen, in Chromium without a graphics card.\n")
	return r.Write(results, lists)
}
