package analysis

// Header is one header of a record to write.
type Header struct {
	Key   string
	Value []byte
}

// Record is a record to write to a topic; its key determines the partition.
type Record struct {
	Topic   string
	Key     []byte
	Value   []byte
	Headers []Header
}

// Effects collects the records to write.
type Effects struct {
	Records []Record
}

// Reset empties fx and keeps its memory.
func (fx *Effects) Reset() { fx.Records = fx.Records[:0] }

func (fx *Effects) add(r Record) { fx.Records = append(fx.Records, r) }
