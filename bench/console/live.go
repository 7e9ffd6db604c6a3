package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/smartlb/smartlb/bench/rig"
)

// liveRow is a producer as fast as it goes, with and without somebody who
// watches.
type liveRow struct {
	Watched            bool
	Produced           int64
	PerSecond          float64
	Shown, Skipped     int64
	Read               int64
	Events             int64
	LongestGap         float64 // s between two events
	Peak               int64   // of the console
	ConsoleCPU, Broker float64 // CPU seconds
}

const flood = "15s"

func (b *bench) live(broker *rig.Process) ([]liveRow, error) {
	var out []liveRow
	for i, watched := range []bool{false, true, false, true} {
		topic := fmt.Sprintf("flood-%d", i)
		if err := b.kafka("topics", "create", topic, "-p", "3"); err != nil {
			return nil, err
		}
		row, err := b.flood(broker, topic, watched)
		if err != nil {
			return nil, err
		}
		out = append(out, row)
		if err := b.kafka("topics", "delete", topic, "--execute"); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (b *bench) flood(broker *rig.Process, topic string, watched bool) (row liveRow, err error) {
	row.Watched = watched
	before := rig.CPU(broker.Pid)
	produce := func() error {
		out, err := exec.CommandContext(b.ctx, b.program, "kafka", "bench", "produce", topic, "-n", "0", "--for", flood, "-b", b.broker, "-o", "json").Output()
		if err != nil {
			return err
		}
		var said struct {
			Records   int64
			PerSecond float64 `json:"recordsPerSecond"`
		}
		if err := json.Unmarshal(out, &said); err != nil {
			return err
		}
		row.Produced, row.PerSecond = said.Records, said.PerSecond
		return nil
	}
	if !watched {
		err = produce()
		row.Broker = (rig.CPU(broker.Pid) - before).Seconds()
		return row, err
	}
	row.Peak, err = b.withConsole(func(p *rig.Process) error {
		ctx, cancel := context.WithCancel(b.ctx)
		defer cancel()
		var watch sync.WaitGroup
		var failed error
		watch.Go(func() { failed = b.watch(ctx, topic, &row) })
		time.Sleep(time.Second) // the stream is open by then
		start := rig.CPU(p.Pid)
		if err := produce(); err != nil {
			return err
		}
		row.ConsoleCPU = (rig.CPU(p.Pid) - start).Seconds()
		time.Sleep(2 * time.Second) // what was written last is told of
		cancel()
		watch.Wait()
		return failed
	})
	row.Broker = (rig.CPU(broker.Pid) - before).Seconds()
	return row, err
}

// watch follows a topic as the page does, and counts.
func (b *bench) watch(ctx context.Context, topic string, row *liveRow) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.console+"/api/v1/topics/"+topic+"/events?last=20", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, 16<<20)
	last := time.Time{}
	for in.Scan() {
		data, ok := strings.CutPrefix(in.Text(), "data: ")
		if !ok {
			continue
		}
		var e struct {
			Messages      []struct{}
			Skipped, Read int64
		}
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return err
		}
		if !last.IsZero() && row.Shown > 0 && len(e.Messages) > 0 {
			row.LongestGap = max(row.LongestGap, time.Since(last).Seconds())
		}
		last = time.Now()
		row.Events++
		row.Shown += int64(len(e.Messages))
		row.Skipped += e.Skipped
		row.Read += e.Read
	}
	return nil // it was told to end
}

func printLive(r *rig.Report, rows []liveRow) {
	r.Printf("## A live stream of a topic as fast as the broker takes it\n\n")
	r.Printf("One producer for %s on the same two cores, with somebody who watches and without, in turn. Shown and skipped together are all messages.\n\n", flood)
	r.Printf("| watched | produced/s | shown | skipped | read of them | longest gap s | console CPU s | broker CPU s per million | peak memory of the console |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, x := range rows {
		perMillion := x.Broker / float64(x.Produced) * 1e6
		if !x.Watched {
			r.Printf("| no | %.0f | | | | | | %.2f | |\n", x.PerSecond, perMillion)
			continue
		}
		r.Printf("| yes | %.0f | %d | %d | %d | %.2f | %.1f | %.2f | %s |\n", x.PerSecond, x.Shown, x.Skipped, x.Read, x.LongestGap, x.ConsoleCPU, perMillion, mib(x.Peak))
	}
	r.Printf("\n")
}
