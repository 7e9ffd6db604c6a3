package salvage

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Layout of a record batch (KIP-98).
const (
	batchHead   = 61 // before the records
	batchPrefix = 12 // base offset and length, which the length does not count
	maxBatch    = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// batch holds the facts about one record batch that stay in memory.
type batch struct {
	first, last int64 // offsets
	epoch       int32 // of the partition's leader
	attributes  uint16
	at, maxAt   int64 // timestamps, ms
	producer    int64
	generation  int16 // of the producer
	sequence    int32
	records     int32
	commit      bool // of a control batch: commit, else abort
	pos, size   int  // in the file it was read from
}

func (b batch) transactional() bool { return b.attributes&0x10 != 0 }
func (b batch) control() bool       { return b.attributes&0x20 != 0 }

// readBatch reads the batch at the beginning of raw. ok means that it is complete and its checksum is right.
func readBatch(raw []byte) (b batch, ok bool) {
	if len(raw) < batchHead || raw[16] != 2 {
		return b, false
	}
	length := int(int32(binary.BigEndian.Uint32(raw[8:])))
	if length < batchHead-batchPrefix || length > maxBatch || batchPrefix+length > len(raw) {
		return b, false
	}
	raw = raw[:batchPrefix+length]
	if binary.BigEndian.Uint32(raw[17:]) != checksum(raw[21:]) {
		return b, false
	}
	delta := int32(binary.BigEndian.Uint32(raw[23:]))
	b = batch{
		first:      int64(binary.BigEndian.Uint64(raw)),
		epoch:      int32(binary.BigEndian.Uint32(raw[12:])),
		attributes: binary.BigEndian.Uint16(raw[21:]),
		at:         int64(binary.BigEndian.Uint64(raw[27:])),
		maxAt:      int64(binary.BigEndian.Uint64(raw[35:])),
		producer:   int64(binary.BigEndian.Uint64(raw[43:])),
		generation: int16(binary.BigEndian.Uint16(raw[51:])),
		sequence:   int32(binary.BigEndian.Uint32(raw[53:])),
		records:    int32(binary.BigEndian.Uint32(raw[57:])),
		size:       len(raw),
	}
	b.last = b.first + int64(delta)
	if b.first < 0 || delta < 0 {
		return b, false
	}
	if b.control() {
		b.commit = isCommit(raw[batchHead:])
	}
	return b, true
}

// isCommit reads the key of a control record. A key that cannot be read counts as an abort.
func isCommit(records []byte) bool {
	var r kmsg.Record
	if r.ReadFrom(records) != nil || len(r.Key) < 4 {
		return false
	}
	return binary.BigEndian.Uint16(r.Key[2:]) == 1
}

// hole is a range of a file without a batch, or the offset of a batch that cannot be right.
type hole struct {
	pos, size int
	torn      bool // the file ends within a batch: a write that a kill cut short
	repaired  bool // the batch was found, its offset was repaired
}

// scan finds the batches of a segment, in the order of their offsets, and the damage of the file. least is the lowest
// offset that the first batch may have.
func scan(raw []byte, least int64) (found []batch, holes []hole) {
	for pos := 0; pos < len(raw); {
		b, ok := readBatch(raw[pos:])
		if ok && misplaced(raw[pos+b.size:], b, least) {
			b.last += least - b.first
			b.first = least
			holes = append(holes, hole{pos: pos, size: 8, repaired: true})
		}
		if ok && b.first >= least {
			b.pos = pos
			found, least, pos = append(found, b), b.last+1, pos+b.size
			continue
		}
		next := behind(raw, pos, least)
		h := hole{pos: pos, size: next - pos}
		h.torn = next == len(raw) && cutShort(raw[pos:])
		holes, pos = append(holes, h), next
	}
	return found, holes
}

// maxGap is the largest accepted jump of offsets of the last batch in a file: a damaged range before it may have held
// this many records.
const maxGap = 1 << 24

// misplaced reports whether the offset of a batch, which its checksum does not cover, must be least instead. The next
// batch shows it; there are gaps where a damaged batch was cut out.
func misplaced(rest []byte, b batch, least int64) bool {
	if b.first == least {
		return false
	}
	if next, ok := readBatch(rest); ok && next.first == least+(b.last-b.first)+1 {
		return true
	}
	return b.first < least && len(rest) == 0 || b.first > least+maxGap
}

// bytesOf returns the batch in the form to be written: with its repaired offset.
func bytesOf(raw []byte, b batch) []byte {
	out := append([]byte(nil), raw[b.pos:b.pos+b.size]...)
	binary.BigEndian.PutUint64(out, uint64(b.first))
	return out
}

// behind returns where the next batch begins after a damaged batch: where its length says, if there is one, else the
// next position where one can be found. Records may contain bytes that look like a batch, so the length is tried first.
func behind(raw []byte, pos int, least int64) int {
	if pos+batchPrefix <= len(raw) {
		length := int(int32(binary.BigEndian.Uint32(raw[pos+8:])))
		if end := pos + batchPrefix + length; length >= batchHead-batchPrefix && end <= len(raw) {
			if b, ok := readBatch(raw[end:]); end == len(raw) || (ok && b.first >= least) {
				return end
			}
		}
	}
	return resync(raw, pos+1, least)
}

// cutShort reports whether raw is the beginning of a batch that was not completely written.
func cutShort(raw []byte) bool {
	if len(raw) < batchPrefix {
		return true
	}
	length := int(int32(binary.BigEndian.Uint32(raw[8:])))
	return length > 0 && length <= maxBatch && batchPrefix+length > len(raw)
}

// resync returns where the next batch begins at or after pos, or the end.
func resync(raw []byte, pos int, least int64) int {
	for ; pos+batchHead <= len(raw); pos++ {
		if raw[pos+16] != 2 { // the magic
			continue
		}
		if b, ok := readBatch(raw[pos:]); ok && b.first >= least {
			return pos
		}
	}
	return len(raw)
}

// marker returns the control batch with which a coordinator commits or aborts a transaction.
func marker(offset int64, epoch int32, producer int64, generation int16, commit bool, now time.Time) []byte {
	key, value := kmsg.ControlRecordKey{Type: kmsg.ControlRecordKeyTypeAbort}, kmsg.EndTxnMarker{}
	if commit {
		key.Type = kmsg.ControlRecordKeyTypeCommit
	}
	record := kmsg.Record{Key: key.AppendTo(nil), Value: value.AppendTo(nil)}
	record.Length = int32(len(record.AppendTo(nil)) - 1) // the length itself takes one byte
	b := kmsg.RecordBatch{
		FirstOffset: offset, PartitionLeaderEpoch: epoch, Magic: 2, Attributes: 0x30,
		FirstTimestamp: now.UnixMilli(), MaxTimestamp: now.UnixMilli(),
		ProducerID: producer, ProducerEpoch: generation, FirstSequence: -1,
		NumRecords: 1, Records: record.AppendTo(nil),
	}
	b.Length = int32(len(b.AppendTo(nil)) - batchPrefix)
	b.CRC = int32(checksum(b.AppendTo(nil)[21:]))
	return b.AppendTo(nil)
}

// indexEntry returns kfake's index entry of a batch. After a repair no batch is in an open transaction.
func indexEntry(epoch int32) []byte {
	e := make([]byte, 15)
	e[0] = formatVersion
	binary.LittleEndian.PutUint32(e[2:], uint32(epoch))
	e[1] = byte(checksum(e[2:]))
	return e
}
