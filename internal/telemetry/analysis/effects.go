package analysis

// Header is one header of a record to be written.
type Header struct {
	Key   string
	Value []byte
}

// Record is to be written to a topic; its key decides the partition.
type Record struct {
	Topic   string
	Key     []byte
	Value   []byte
	Headers []Header
}

// Effects collects what is to be written.
type Effects struct {
	Records []Record
}

// Reset empties it and keeps its memory.
func (fx *Effects) Reset() { fx.Records = fx.Records[:0] }

func (fx *Effects) add(r Record) { fx.Records = append(fx.Records, r) }
