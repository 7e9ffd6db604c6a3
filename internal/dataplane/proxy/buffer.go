package proxy

import "sync"

// bufferPool provides buffers of one size.
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

// lease holds at most one buffer of a pool, and only while the buffer has content: data[start:end]. A zero lease with a
// pool is empty and ready to use.
type lease struct {
	pool       *bufferPool
	data       *[]byte
	start, end int
}

// room returns the free bytes after the content. It takes a buffer if the lease has none. It moves the content to the
// front if the buffer is full at its end.
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

// bytes returns the content. It is valid until the lease changes.
func (l *lease) bytes() []byte {
	if l.data == nil {
		return nil
	}
	return (*l.data)[l.start:l.end]
}

func (l *lease) len() int { return l.end - l.start }

func (l *lease) full() bool { return l.end-l.start == l.pool.size }

// drop removes n bytes from the front.
func (l *lease) drop(n int) {
	l.start += n
	l.dropEmpty()
}

// dropEmpty returns an empty buffer to the pool.
func (l *lease) dropEmpty() {
	if l.start == l.end {
		l.release()
	}
}

// release returns the buffer to the pool and discards its content.
func (l *lease) release() {
	if l.data != nil {
		l.pool.pool.Put(l.data)
		l.data = nil
	}
	l.start, l.end = 0, 0
}
