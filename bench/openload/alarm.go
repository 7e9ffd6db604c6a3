package openload

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Alarm sleeps by a timerfd, to some tens of microseconds. time.Sleep wakes up
// to a millisecond late in an idle process, because the poller's timeout is in
// milliseconds; at a p99 of 100 ms that would be read as queueing.
type Alarm struct {
	fd   int
	file *os.File // the same descriptor, in the runtime's poller
	buf  [8]byte
}

// NewAlarm is closed by Close. One goroutine may sleep at a time.
func NewAlarm() (*Alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	return &Alarm{fd: fd, file: os.NewFile(uintptr(fd), "alarm")}, nil
}

// Sleep returns after d, at once if d is not positive.
func (a *Alarm) Sleep(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(d.Nanoseconds())}
	if err := unix.TimerfdSettime(a.fd, 0, &at, nil); err != nil {
		return os.NewSyscallError("timerfd_settime", err)
	}
	_, err := a.file.Read(a.buf[:])
	return err
}

// Close frees the timer.
func (a *Alarm) Close() { _ = a.file.Close() }
