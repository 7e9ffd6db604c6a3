package main

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/smartlb/smartlb/bench/rig"
)

// denseRow is a search through values that compress a thousandfold: a fetch of
// little more than nothing is hundreds of megabytes.
type denseRow struct {
	Values, Size int
	Seconds      float64
	Peak         int64 // of the console
}

const denseValues = 60

func (b *bench) dense() (row denseRow, err error) {
	if err := b.kafka("topics", "create", "dense", "-p", "3", "--config", "max.message.bytes=11534336"); err != nil {
		return row, err
	}
	in, err := os.CreateTemp(b.dir, "dense")
	if err != nil {
		return row, err
	}
	defer in.Close()
	text := `{"n":1,"fill":"` + strings.Repeat("abcdefgh", 1_250_000) + `"}`
	for range denseValues {
		if _, err := fmt.Fprintln(in, text); err != nil {
			return row, err
		}
	}
	if _, err := in.Seek(0, 0); err != nil {
		return row, err
	}
	send := exec.CommandContext(b.ctx, b.program, "kafka", "produce", "dense", "-b", b.broker)
	send.Stdin, send.Env = in, append(os.Environ(), "SMARTLB_STATE_DIR="+b.dir)
	if out, err := send.CombinedOutput(); err != nil {
		return row, fmt.Errorf("produce: %w: %s", err, out)
	}
	row.Values, row.Size = denseValues, len(text)
	row.Peak, err = b.withConsole(func(*rig.Process) error {
		began := time.Now()
		end, err := b.search("dense", url.Values{"order": {"oldest"}, "where": {"value.n > 1"}, "bytes": {fmt.Sprint(16 << 30)}, "seconds": {"600"}})
		row.Seconds = time.Since(began).Seconds()
		if err == nil && end.Progress.Records != denseValues {
			err = fmt.Errorf("%d of %d values were looked at", end.Progress.Records, denseValues)
		}
		return err
	})
	return row, err
}

func printDense(r *rig.Report, x denseRow) {
	r.Printf("## Values that compress a thousandfold, searched with an expression\n\n")
	r.Printf("%d values of %.1f MB, zstd, in 3 partitions, `value.n > 1`: %.1f s, peak memory of the console %s.\n\n", x.Values, float64(x.Size)/1e6, x.Seconds, mib(x.Peak))
}
