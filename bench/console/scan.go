package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/bench/rig"
)

// scanRow is one search through all messages.
type scanRow struct {
	Who     string
	Seconds float64
	Matches int
	Peak    int64 // of the console
}

// scan searches with each contender in turn, so that what else the machine does
// meets all alike.
func (b *bench) scan(rounds int) ([]scanRow, error) {
	if err := b.kafka("topics", "create", "scan", "-p", "3"); err != nil {
		return nil, err
	}
	if err := b.kafka("bench", "produce", "scan", "-n", fmt.Sprint(b.records), "--for", "0"); err != nil {
		return nil, err
	}
	var out []scanRow
	for range rounds {
		for _, f := range []func() (scanRow, error){b.scanConsole, b.scanConsume, b.scanKcat, b.countSarama} {
			row, err := f()
			if err != nil {
				return nil, err
			}
			out = append(out, row)
		}
	}
	return out, nil
}

func (b *bench) scanConsole() (scanRow, error) {
	row := scanRow{Who: "console, search"}
	v := url.Values{"order": {"oldest"}, "where": {expression}, "limit": {"1000"}, "bytes": {fmt.Sprint(16 << 30)}, "seconds": {"600"}}
	peak, err := b.withConsole(func(*rig.Process) error {
		for next := "start"; next != ""; { // a page shows a thousand, and goes on
			if next != "start" {
				v.Set("at", next)
			}
			began := time.Now()
			end, err := b.search("scan", v)
			if err != nil {
				return err
			}
			row.Seconds += time.Since(began).Seconds()
			row.Matches += int(end.Progress.Matches)
			next = end.Next
		}
		return nil
	})
	row.Peak = peak
	return row, err
}

type searchEnd struct {
	Progress struct{ Matches, Records int64 }
	Next     string
	Error    string
}

func (b *bench) search(topic string, v url.Values) (end searchEnd, err error) {
	req, err := http.NewRequestWithContext(b.ctx, http.MethodGet, "http://"+b.console+"/api/v1/topics/"+topic+"/search?"+v.Encode(), nil)
	if err != nil {
		return end, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return end, err
	}
	defer resp.Body.Close()
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, 16<<20)
	name := ""
	for in.Scan() {
		if n, ok := strings.CutPrefix(in.Text(), "event: "); ok {
			name = n
		}
		data, ok := strings.CutPrefix(in.Text(), "data: ")
		if ok && (name == "end" || name == "problem") {
			if err := json.Unmarshal([]byte(data), &end); err != nil {
				return end, err
			}
			if name == "problem" {
				return end, fmt.Errorf("search: %s", end.Error)
			}
			return end, nil
		}
	}
	return end, fmt.Errorf("search: it ended without an end (%d, %w)", resp.StatusCode, in.Err())
}

func (b *bench) scanConsume() (scanRow, error) {
	return b.scanShell("smartlb kafka consume --where", fmt.Sprintf("%s kafka consume scan --from-beginning --where '%s' -b %s | wc -l", b.program, expression, b.broker))
}

func (b *bench) scanKcat() (scanRow, error) {
	return b.scanShell("kcat -J, jq", fmt.Sprintf("kcat -C -b %s -t scan -o beginning -e -q -J | jq '%s' | wc -l", b.broker, jqFilter))
}

// countSarama reads with the client library that kafkactl is made of and only
// counts: no filter of a program on top of it can be faster.
func (b *bench) countSarama() (scanRow, error) {
	return b.scanShell("sarama, counting alone", fmt.Sprintf("%s %s count scan", b.sarama, b.broker))
}

func (b *bench) scanShell(who, line string) (scanRow, error) {
	began := time.Now()
	out, err := exec.CommandContext(b.ctx, "bash", "-o", "pipefail", "-c", line).Output()
	row := scanRow{Who: who, Seconds: time.Since(began).Seconds()}
	if err != nil {
		return row, fmt.Errorf("%s: %w", who, err)
	}
	_, err = fmt.Sscan(string(out), &row.Matches)
	return row, err
}

func printScan(r *rig.Report, rows []scanRow, records int) {
	r.Printf("## %d messages of about 270 bytes in 3 partitions, searched with an expression\n\n", records)
	r.Printf("`%s`, from the oldest on, all of it. Contenders in turn; median of the rounds.\n\n", expression)
	r.Printf("| | messages/s | seconds | found | peak memory of the console |\n|---|---|---|---|---|\n")
	by := map[string][]scanRow{}
	var order []string
	for _, row := range rows {
		if by[row.Who] == nil {
			order = append(order, row.Who)
		}
		by[row.Who] = append(by[row.Who], row)
	}
	for _, who := range order {
		all := by[who]
		slices.SortFunc(all, func(a, b scanRow) int {
			if a.Seconds < b.Seconds {
				return -1
			}
			return 1
		})
		mid, peak := all[len(all)/2], int64(0)
		for _, row := range all {
			peak = max(peak, row.Peak)
		}
		memory := ""
		if peak > 0 {
			memory = mib(peak)
		}
		r.Printf("| %s | %.0f | %.2f | %d | %s |\n", who, float64(records)/mid.Seconds, mid.Seconds, mid.Matches, memory)
	}
	r.Printf("\n")
}
