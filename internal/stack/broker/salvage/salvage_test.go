package salvage

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// folder is a data directory of a test.
type folder struct {
	t    testing.TB
	path string
}

// newFolder makes a directory as kfake leaves it after a kill, with one topic.
func newFolder(t testing.TB, topic string, partitions int) folder {
	f := folder{t, t.TempDir()}
	f.write("meta.json", []byte(`{"version":1,"cluster_id":"c"}`))
	topics, err := json.Marshal(map[string]any{"version": 1, "topics": []map[string]any{{"name": topic, "partitions": partitions}}})
	if err != nil {
		t.Fatal(err)
	}
	f.write("topics.json", topics)
	return f
}

func (f folder) write(name string, raw []byte) {
	f.t.Helper()
	path := filepath.Join(f.path, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f folder) read(name string) []byte {
	f.t.Helper()
	raw, err := os.ReadFile(filepath.Join(f.path, name))
	if err != nil {
		f.t.Fatal(err)
	}
	return raw
}

func (f folder) repair(starts map[Partition]int64) Report {
	f.t.Helper()
	r, err := Repair(f.path, starts, nil, time.Unix(1_700_000_000, 0))
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

func (f folder) snapshot(part string) snapshot {
	f.t.Helper()
	var s snapshot
	if err := json.Unmarshal(f.read("partitions/"+part+"/snapshot.json"), &s); err != nil {
		f.t.Fatal(err)
	}
	return s
}

// data makes a batch of n records.
func data(first int64, n int32, producer int64, generation int16, sequence int32, attributes int16) []byte {
	var records []byte
	for i := range n {
		r := kmsg.Record{OffsetDelta: i, Value: []byte("value")}
		r.Length = int32(len(r.AppendTo(nil)) - 1)
		records = r.AppendTo(records)
	}
	b := kmsg.RecordBatch{
		FirstOffset: first, Magic: 2, Attributes: attributes, LastOffsetDelta: n - 1, FirstTimestamp: 1000, MaxTimestamp: 1000,
		ProducerID: producer, ProducerEpoch: generation, FirstSequence: sequence, NumRecords: n, Records: records,
	}
	b.Length = int32(len(b.AppendTo(nil)) - batchPrefix)
	b.CRC = int32(checksum(b.AppendTo(nil)[21:]))
	return b.AppendTo(nil)
}

func plain(first int64, n int32) []byte { return data(first, n, -1, -1, -1, 0) }

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func offsets(batches []batch) (out []int64) {
	for _, b := range batches {
		out = append(out, b.first)
	}
	return out
}

func TestOneFlippedBitCostsAtMostOneBatch(t *testing.T) {
	whole := join(plain(0, 2), plain(2, 3), plain(5, 1), plain(6, 2))
	want := map[int64]bool{0: true, 2: true, 5: true, 6: true}
	for i := range whole {
		for bit := range 8 {
			raw := append([]byte(nil), whole...)
			raw[i] ^= 1 << bit
			found, _ := scan(raw, 0)
			if len(found) < 3 {
				t.Fatalf("bit %d of byte %d leaves %v of four batches", bit, i, offsets(found))
			}
			for _, b := range found[:len(found)-1] {
				if !want[b.first] {
					t.Fatalf("bit %d of byte %d moves a batch to %d", bit, i, b.first)
				}
			}
		}
	}
}

func TestAFlippedOffsetIsPutRight(t *testing.T) {
	f := newFolder(t, "a", 1)
	raw := join(plain(0, 2), plain(2, 3), plain(5, 1))
	raw[len(plain(0, 2))+1] ^= 1
	f.write("partitions/a-0/0.dat", raw)
	if r := f.repair(nil); len(r.Damage) != 1 {
		t.Errorf("damage %v, want the offset", r.Damage)
	}
	if got, want := f.read("partitions/a-0/0.dat"), join(plain(0, 2), plain(2, 3), plain(5, 1)); string(got) != string(want) {
		t.Error("the file is not as it was before")
	}
}

func TestATornWriteIsCutOffWithoutACopy(t *testing.T) {
	f := newFolder(t, "a", 1)
	f.write("partitions/a-0/0.dat", join(plain(0, 2), plain(2, 3)[:40]))
	r := f.repair(nil)
	if len(r.Damage) != 1 || !r.Damage[0].Torn || r.Damage[0].Copy != "" {
		t.Errorf("damage %v, want one torn end", r.Damage)
	}
	if got := f.read("partitions/a-0/0.dat"); string(got) != string(plain(0, 2)) {
		t.Errorf("%d bytes are left, want the first batch", len(got))
	}
	if s := f.snapshot("a-0"); s.HighWatermark != 2 || s.LastStableOffset != 2 {
		t.Errorf("the log ends at %d, %d, want 2", s.HighWatermark, s.LastStableOffset)
	}
}

func TestDamageInTheMiddleLosesNothingBehindItAndNamesTheFile(t *testing.T) {
	f := newFolder(t, "a", 1)
	raw := join(plain(0, 2), plain(2, 3), plain(5, 1))
	raw[len(plain(0, 2))+70] ^= 1
	f.write("partitions/a-0/0.dat", raw)
	f.write("partitions/a-0/6.dat", plain(6, 4))
	r := f.repair(nil)
	if len(r.Damage) != 1 || r.Damage[0].Torn || !strings.HasSuffix(r.Damage[0].File, "partitions/a-0/0.dat") || r.Damage[0].What != "records of a/0" {
		t.Fatalf("damage %v, want one that names the file and the partition", r.Damage)
	}
	if got, err := os.ReadFile(r.Damage[0].Copy); err != nil || string(got) != string(raw) {
		t.Errorf("the copy is not the damaged file: %v", err)
	}
	if got, want := f.read("partitions/a-0/0.dat"), join(plain(0, 2), plain(5, 1)); string(got) != string(want) {
		t.Errorf("%d bytes are left, want %d", len(got), len(want))
	}
	if s := f.snapshot("a-0"); s.HighWatermark != 10 {
		t.Errorf("the log ends at %d, want 10", s.HighWatermark)
	}
	if again := f.repair(nil); len(again.Damage) != 0 {
		t.Errorf("the second time finds %v", again.Damage)
	}
}

func TestAnIndexThatMissesAnEntryIsMadeAnew(t *testing.T) {
	f := newFolder(t, "a", 1)
	f.write("partitions/a-0/0.dat", join(plain(0, 1), plain(1, 1), plain(2, 1)))
	f.write("partitions/a-0/0.idx", indexEntry(0))
	f.repair(nil)
	if got := len(f.read("partitions/a-0/0.idx")); got != 3*15 {
		t.Errorf("the index has %d bytes, want three entries of 15", got)
	}
}

// A transaction that was open at a kill is given up. Were that not written into
// the log, the next commit of the same producer would commit it too.
func TestAnOpenTransactionGetsItsAbortMarkerAndItsProducerIsFenced(t *testing.T) {
	f := newFolder(t, "a", 2)
	done := marker(1, 0, 9, 0, false, time.Unix(0, 0))
	f.write("partitions/a-0/0.dat", join(data(0, 1, 9, 0, 0, 0x10), done, data(2, 2, 9, 0, 1, 0x10)))
	f.write("partitions/a-1/0.dat", data(0, 1, 9, 0, 0, 0x10))
	f.write("pids.log", appendFrame(nil, []byte(`{"type":"init","pid":9,"epoch":0,"txid":"t"}`)))
	r := f.repair(nil)
	if r.Transactions != 2 {
		t.Errorf("%d transactions were aborted, want one in each partition", r.Transactions)
	}
	s := f.snapshot("a-0")
	want := []aborted{{9, 0, 1}, {9, 2, 4}}
	if diff := cmp.Diff(want, s.AbortedTxns); diff != "" || s.HighWatermark != 5 {
		t.Errorf("end %d, aborted (-want +got):\n%s", s.HighWatermark, diff)
	}
	found, holes := scan(f.read("partitions/a-0/0.dat"), 0)
	if len(holes) > 0 || len(found) != 4 || !found[3].control() || found[3].commit {
		t.Errorf("batches %v, holes %v; want an abort marker at the end", offsets(found), holes)
	}
	frames, _ := readFrames(f.read("pids.log"))
	if len(frames) != 2 || !strings.Contains(string(frames[1].data), `"epoch":2`) {
		t.Errorf("the producers' log has %d entries, want the fence as the second", len(frames))
	}
	if again := f.repair(nil); again.Transactions != 0 {
		t.Errorf("the second time aborts %d more", again.Transactions)
	}
}

// A kill may come when the end of a transaction is in the log of one partition and not yet in that of another.
func TestACommitThatAKillInterruptedIsFinishedInAllPartitions(t *testing.T) {
	for _, nextEpoch := range []bool{false, true} {
		f := newFolder(t, "a", 2)
		f.write("partitions/a-0/0.dat", join(data(0, 1, 9, 3, 0, 0x10), marker(1, 0, 9, 3, true, time.Unix(0, 0)), data(2, 1, 8, 1, 0, 0x10)))
		f.write("partitions/a-1/0.dat", join(data(0, 1, 9, 3, 0, 0x10), data(1, 1, 8, 1, 0, 0x10)))
		f.write("pids.log", join(appendFrame(nil, []byte(`{"type":"init","pid":9,"epoch":3,"txid":"t","timeout":60000}`)),
			appendFrame(nil, []byte(`{"type":"init","pid":8,"epoch":1,"txid":"u"}`))))
		// Producer 8 began another transaction after the one that was committed as generation 0.
		endings := map[int64]Ending{9: {Epoch: 3, NextEpoch: nextEpoch}, 8: {Epoch: 0}}
		r, err := Repair(f.path, nil, endings, time.Unix(1_700_000_000, 0))
		if err != nil || r.Committed != 1 || r.Transactions != 2 {
			t.Fatalf("%+v, %v", r, err)
		}
		found, holes := scan(f.read("partitions/a-1/0.dat"), 0)
		if len(holes) > 0 || len(found) != 4 || found[2].producer != 8 || found[2].commit || found[3].producer != 9 || !found[3].commit {
			t.Errorf("batches %+v, holes %v", found, holes)
		}
		if got := f.snapshot("a-1").AbortedTxns; len(got) != 1 || got[0].ProducerID != 8 {
			t.Errorf("aborted %+v", got)
		}
		var entries []string
		frames, _ := readFrames(f.read("pids.log"))
		for _, one := range frames[2:] {
			entries = append(entries, string(one.data))
		}
		want := []string{`{"type":"timeout","pid":8,"epoch":3}`, `{"type":"endtx","pid":9,"epoch":3,"commit":true}`}
		if nextEpoch {
			want = append(want, `{"type":"init","pid":9,"epoch":4,"txid":"t","timeout":60000,"commit":true}`)
		}
		if diff := cmp.Diff(want, entries); diff != "" {
			t.Errorf("entries about producers (-want +got):\n%s", diff)
		}
		if again, err := Repair(f.path, nil, endings, time.Unix(1_700_000_000, 0)); err != nil || again.Committed+again.Transactions != 0 {
			t.Errorf("the second time: %+v, %v", again, err)
		}
	}
}

func TestTheNumbersOfIdempotentProducersComeFromTheLog(t *testing.T) {
	f := newFolder(t, "a", 1)
	var raw []byte
	for i := range 7 {
		raw = append(raw, data(int64(2*i), 2, 5, 1, int32(2*i), 0)...)
	}
	f.write("partitions/a-0/0.dat", raw)
	f.write("seq_windows.json", []byte(`{"version":1,"windows":[{"pid":5,"topic":"a","partition":0,"count":1,"at":1,"epoch":0,"seen":true,"next_seq":2},{"pid":6,"topic":"b","partition":0,"count":1,"at":1,"seen":true,"next_seq":8}]}`))
	f.repair(nil)
	var got seqWindows
	if err := json.Unmarshal(f.read("seq_windows.json"), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Windows) != 2 || got.Windows[1].NextSeq != 8 {
		t.Fatalf("windows %+v, want producer 5 as in the log and 6 as it was", got.Windows)
	}
	w := got.Windows[0]
	want := seqWindow{PID: 5, Topic: "a", Entries: [5]seqEntry{{4, 6, 4}, {6, 8, 6}, {8, 10, 8}, {10, 12, 10}, {12, 14, 12}}, Count: 5, At: 0, Epoch: 1, Seen: true, NextSeq: 14}
	if diff := cmp.Diff(want, w); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLogsBeginWhereTheyWereToldTo(t *testing.T) {
	f := newFolder(t, "a", 2)
	f.write("partitions/a-0/0.dat", join(plain(0, 5), plain(5, 5)))
	r := f.repair(map[Partition]int64{{"a", 0}: 7, {"a", 1}: 3, {"gone", 0}: 9})
	if s := f.snapshot("a-0"); s.LogStartOffset != 7 || s.HighWatermark != 10 {
		t.Errorf("the log spans %d to %d, want 7 to 10", s.LogStartOffset, s.HighWatermark)
	}
	if diff := cmp.Diff(map[Partition]int64{{"a", 0}: 7, {"a", 1}: 3}, r.Starts); diff != "" {
		t.Errorf("starts that still hold (-want +got):\n%s", diff)
	}
	if s := f.snapshot("a-1"); s.LogStartOffset != 3 || s.HighWatermark != 3 {
		t.Errorf("the log without records spans %d to %d, want 3 to 3", s.LogStartOffset, s.HighWatermark)
	}
	// also where the files are those of the last clean stop
	f.repair(map[Partition]int64{{"a", 0}: 8})
	if s := f.snapshot("a-0"); s.LogStartOffset != 8 {
		t.Errorf("the log begins at %d, want 8", s.LogStartOffset)
	}
}

func TestADamagedEntryHidesNoneBehindIt(t *testing.T) {
	f := newFolder(t, "a", 1)
	one, two, three := appendFrame(nil, []byte(`{"n":1}`)), appendFrame(nil, []byte(`{"n":2}`)), appendFrame(nil, []byte(`{"n":3}`))
	bad := append([]byte(nil), two...)
	bad[len(bad)-2] ^= 4
	f.write("groups.log", join(one, bad, three, one[:7]))
	r := f.repair(nil)
	if len(r.Damage) != 2 || r.Damage[0].Torn || !r.Damage[1].Torn {
		t.Errorf("damage %v, want an entry and a torn end", r.Damage)
	}
	if got := f.read("groups.log"); string(got) != string(join(one, three)) {
		t.Errorf("the log holds %q, want the first and the third entry", got)
	}
}

func TestFoldersOfNoTopicAreMovedAway(t *testing.T) {
	f := newFolder(t, "a", 1)
	f.write("partitions/old-0/0.dat", plain(0, 1))
	r := f.repair(nil)
	if len(r.Strays) != 1 {
		t.Fatalf("strays %v, want old-0", r.Strays)
	}
	if _, err := os.Stat(filepath.Join(r.Strays[0], "0.dat")); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeMendedIsNamed(t *testing.T) {
	f := newFolder(t, "a", 1)
	f.write("topics.json", []byte("{"))
	_, err := Repair(f.path, nil, nil, time.Now())
	var named *Error
	if !errors.As(err, &named) || filepath.Base(named.File) != "topics.json" {
		t.Errorf("a damaged list of topics gives %v", err)
	}
	// A segment that cannot be read, also by root: a folder has its name.
	f = newFolder(t, "a", 1)
	f.write("partitions/a-0/0.dat/file", nil)
	path := filepath.Join(f.path, "partitions/a-0/0.dat")
	if _, err := Repair(f.path, nil, nil, time.Now()); !errors.As(err, &named) || named.File != path {
		t.Errorf("an unreadable segment gives %v", err)
	}
}

// Whatever happens to the bytes of a segment, what is kept was there before,
// in order, and the second run changes nothing.
func TestMendingKeepsOnlyWhatWasWrittenAndIsDoneOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFolder(t, "a", 1)
		var raw []byte
		written := map[int64]string{}
		next := int64(0)
		for range rapid.IntRange(1, 6).Draw(rt, "batches") {
			n := rapid.Int32Range(1, 4).Draw(rt, "records")
			b := plain(next, n)
			written[next] = string(b)
			raw, next = append(raw, b...), next+int64(n)
		}
		for range rapid.IntRange(0, 3).Draw(rt, "flips") {
			raw[rapid.IntRange(0, len(raw)-1).Draw(rt, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		}
		raw = raw[:rapid.IntRange(0, len(raw)).Draw(rt, "length")]
		f.write("partitions/a-0/0.dat", raw)
		f.repair(nil)
		kept, err := os.ReadFile(filepath.Join(f.path, "partitions/a-0/0.dat"))
		if err != nil {
			return // nothing was left
		}
		found, holes := scan(kept, 0)
		if len(holes) > 0 {
			rt.Fatalf("holes %v are left", holes)
		}
		for _, b := range found {
			got := string(kept[b.pos : b.pos+b.size])
			ok := false
			for _, w := range written { // offset and epoch are outside the checksum
				ok = ok || w[16:] == got[16:]
			}
			if !ok {
				rt.Fatalf("a batch at %d was never written", b.first)
			}
		}
		if again := f.repair(nil); len(again.Damage) > 0 {
			rt.Fatalf("the second run finds %v", again.Damage)
		}
	})
}

func FuzzScan(f *testing.F) {
	f.Add(join(plain(0, 1), plain(1, 2)))
	f.Add(join(plain(0, 1), []byte("rubbish"), plain(1, 2)))
	f.Add(plain(3, 2)[:50])
	f.Fuzz(func(t *testing.T, raw []byte) {
		found, holes := scan(raw, 0)
		total, least := 0, int64(0)
		for _, b := range found {
			if b.first < least {
				t.Fatalf("offset %d after %d", b.first, least)
			}
			least, total = b.last+1, total+b.size
		}
		for _, h := range holes {
			if !h.repaired {
				total += h.size
			}
		}
		if total != len(raw) {
			t.Fatalf("batches and holes are %d of %d bytes", total, len(raw))
		}
	})
}
