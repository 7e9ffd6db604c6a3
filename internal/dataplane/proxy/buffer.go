package proxy

import "sync"

// bufferPool hands out buffers of one size.
type bufferPool struct {
	size int
	pool sync.Pool
}

func newBufferPool(size int) *bufferPool {
	b := &bufferPool{size: size}
	b.pool.New = func() any {
		s := make([]byte, size)
		return &s
	}
	return b
}

// lease is a place for one buffer of a pool, held only while there are bytes in
// it: data[start:end]. The zero value with a pool is empty.
type lease struct {
	pool       *bufferPool
	data       *[]byte
	start, end int
}

// room gives the free bytes behind the content; it takes a buffer if there is
// none and moves the content to the front if that makes room.
func (l *lease) room() []byte {
	if l.data == nil {
		l.data = l.pool.pool.Get().(*[]byte)
		l.start, l.end = 0, 0
	}
	if l.start > 0 && l.end == len(*l.data) {
		l.compact()
	}
	return (*l.data)[l.end:]
}

// compact moves the content to the front of the buffer.
func (l *lease) compact() {
	if l.data != nil && l.start > 0 {
		copy(*l.data, (*l.data)[l.start:l.end])
		l.end -= l.start
		l.start = 0
	}
}

// bytes gives the content; it is valid until the lease changes.
func (l *lease) bytes() []byte {
	if l.data == nil {
		return nil
	}
	return (*l.data)[l.start:l.end]
}

func (l *lease) len() int { return l.end - l.start }

func (l *lease) full() bool { return l.end-l.start == l.pool.size }

// drop forgets n bytes from the front.
func (l *lease) drop(n int) {
	l.start += n
	l.dropEmpty()
}

// dropEmpty gives an empty buffer back.
func (l *lease) dropEmpty() {
	if l.start == l.end {
		l.release()
	}
}

// release gives the buffer back with whatever is in it.
func (l *lease) release() {
	if l.data != nil {
		l.pool.pool.Put(l.data)
		l.data = nil
	}
	l.start, l.end = 0, 0
}
