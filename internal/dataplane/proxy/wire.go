package proxy

import "time"

// The methods of wire that are the same for every driver.

func (w *wire) closeWrite() error { return w.sock.CloseWrite() }

func (w *wire) close() { _ = w.sock.Close() }

func (w *wire) interrupt(write bool) {
	if write {
		_ = w.sock.SetDeadline(past)
		return
	}
	_ = w.sock.SetReadDeadline(past)
}

func (w *wire) resume(write bool) error {
	if write {
		return w.sock.SetDeadline(time.Time{})
	}
	return w.sock.SetReadDeadline(time.Time{})
}
