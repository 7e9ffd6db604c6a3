package salvage

import (
	"encoding/binary"
	"path/filepath"
)

// Layout of an entry: length of the part after the checksum, checksum, version, JSON; all little-endian.
const (
	frameHead = 10
	maxFrame  = 16 << 20
)

// frame is one entry of a log.
type frame struct {
	pos, size int
	data      []byte
}

func readFrame(raw []byte) (f frame, ok bool) {
	if len(raw) < frameHead {
		return f, false
	}
	length := int(binary.LittleEndian.Uint32(raw))
	if length < 2 || length > maxFrame || 8+length > len(raw) {
		return f, false
	}
	body := raw[8 : 8+length]
	if checksum(body) != binary.LittleEndian.Uint32(raw[4:]) {
		return f, false
	}
	return frame{size: 8 + length, data: body[2:]}, true
}

func appendFrame(to, data []byte) []byte {
	body := append(binary.LittleEndian.AppendUint16(nil, formatVersion), data...)
	to = binary.LittleEndian.AppendUint32(to, uint32(len(body)))
	to = binary.LittleEndian.AppendUint32(to, checksum(body))
	return append(to, body...)
}

// readFrames finds the entries of a log, also after damaged entries.
func readFrames(raw []byte) (found []frame, holes []hole) {
	for pos := 0; pos < len(raw); {
		if f, ok := readFrame(raw[pos:]); ok {
			f.pos = pos
			found, pos = append(found, f), pos+f.size
			continue
		}
		next := pos + 1
		for next < len(raw) {
			if _, ok := readFrame(raw[next:]); ok {
				break
			}
			next++
		}
		h := hole{pos: pos, size: next - pos}
		rest := raw[pos:]
		h.torn = next == len(raw) && (len(rest) < frameHead || 8+int(binary.LittleEndian.Uint32(rest)) > len(rest))
		holes, pos = append(holes, h), next
	}
	return found, holes
}

// framedLog repairs a log of entries and returns their data. kfake stops reading at the first damaged entry but appends
// after it, so its new entries would be lost at the next start.
func (m *mender) framedLog(name string) ([]frame, error) {
	path := filepath.Join(m.dir, name)
	raw, err := read(path)
	if err != nil || raw == nil {
		return nil, err
	}
	found, holes := readFrames(raw)
	if len(holes) == 0 {
		return found, nil
	}
	var whole []byte
	for _, f := range found {
		whole = append(whole, raw[f.pos:f.pos+f.size]...)
	}
	if err := m.setAside(path, raw, holes, "entries"); err != nil {
		return nil, err
	}
	return found, write(path, whole)
}
