package proxy

import (
	"runtime"
	"testing"
)

// The instance answers while the last bytes of the body are on their way, and
// the pump ends well in the moment in which it is told to stop: the connection
// is kept, and the next body must find it without the deadline of the stop.
func TestAPumpThatEndsWellWhileItIsStoppedLeavesNoDeadline(t *testing.T) {
	client, _ := wirePair(t)
	instance, _ := wirePair(t)
	c, e, u := &conn{wire: client, link: client}, &exchange{pumping: true}, &upstreamConn{wire: instance, link: instance}
	e.pump.done = make(chan struct{})
	go func() {
		for !e.pump.stopped.Load() {
			runtime.Gosched()
		}
		e.pump.whole = true
		close(e.pump.done)
	}()
	if !c.joinPump(e, u) {
		t.Error("the pump sent all")
	}
	for name, w := range map[string]*wire{"instance": instance, "client": client} {
		if _, err := w.write([]byte("next")); err != nil {
			t.Errorf("the next bytes to the %s: %v", name, err)
		}
	}
}
