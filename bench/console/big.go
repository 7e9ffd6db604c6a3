package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/smartlb/smartlb/bench/rig"
)

// bigRow is a page with a message of 10 MB.
type bigRow struct {
	RowsMs   float64 // from the address to the rows
	OpenMs   float64 // from the click to the first bytes
	LaterMs  float64 // to the next 64 KiB
	HeapMiB  float64 // of the page's scripts, after all
	LongTask float64 // ms, the longest time for which the page did not answer
	Peak     int64   // of the console
}

const largest = 10_485_760

// big opens a value of 10 MB in Chromium (web/node_modules is needed).
func (b *bench) big() (row bigRow, err error) {
	if err := b.kafka("topics", "create", "big", "-p", "1", "--config", "max.message.bytes=11534336"); err != nil {
		return row, err
	}
	file := filepath.Join(b.dir, "big.json")
	text := `{"big":"` + strings.Repeat("0123456789abcdef", (largest-10)/16) + strings.Repeat("x", (largest-10)%16) + `"}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return row, err
	}
	for range 3 {
		if err := b.kafka("produce", "big", "--file", file, "-k", "big"); err != nil {
			return row, err
		}
	}
	row.Peak, err = b.withConsole(func(*rig.Process) error {
		cmd := exec.CommandContext(b.ctx, "node", "bench/console/page.mjs", "http://"+b.console)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("page: %w", err)
		}
		return json.Unmarshal(out, &row)
	})
	return row, err
}

func printBig(r *rig.Report, x bigRow) {
	r.Printf("## A message of 10,485,760 bytes in a browser\n\n")
	r.Printf("Chromium, headless, the page of the topic with three of them.\n\n")
	r.Printf("| rows ms | click to the first 64 KiB ms | the next 64 KiB ms | longest task of the page ms | heap of the page MiB | peak memory of the console |\n|---|---|---|---|---|---|\n")
	r.Printf("| %.0f | %.0f | %.0f | %.0f | %.1f | %s |\n\n", x.RowsMs, x.OpenMs, x.LaterMs, x.LongTask, x.HeapMiB, mib(x.Peak))
}
