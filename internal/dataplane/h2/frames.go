package h2

import "golang.org/x/net/http2"

func (c *Conn) handle(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.DataFrame:
		return c.data(f)
	case *http2.HeadersFrame:
		return c.headers(f)
	case *http2.ContinuationFrame:
		return c.fragment(f.HeaderBlockFragment(), f.HeadersEnded())
	case *http2.RSTStreamFrame:
		return c.clientReset(f)
	case *http2.WindowUpdateFrame:
		return c.windowUpdate(f)
	case *http2.SettingsFrame:
		return c.settings(f)
	case *http2.PingFrame:
		if f.IsAck() {
			return c.charge(1)
		}
		c.mu.Lock()
		c.out = appendFrameHead(c.out, 8, http2.FramePing, http2.FlagPingAck, 0)
		c.out = append(c.out, f.Data[:]...)
		c.mu.Unlock()
		return c.charge(1)
	case *http2.PriorityFrame:
		if f.StreamDep == f.StreamID {
			return http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeProtocol}
		}
		return c.charge(1)
	case *http2.GoAwayFrame:
		c.goneAway(f.LastStreamID)
		return c.charge(1)
	case *http2.PushPromiseFrame:
		return violation(http2.ErrCodeProtocol, "PUSH_PROMISE of a client")
	}
	return c.charge(1) // unknown frames are ignored (RFC 9113 §4.1)
}

func (c *Conn) settings(f *http2.SettingsFrame) error {
	if err := c.charge(1); err != nil || f.IsAck() {
		return err
	}
	if err := c.charge(f.NumSettings() / 8); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	err := f.ForeachSetting(func(s http2.Setting) error {
		switch s.ID {
		case http2.SettingMaxConcurrentStreams:
			c.most = int(min(s.Val, uint32(c.cfg.MaxStreams)))
		case http2.SettingEnablePush:
			if s.Val > 1 || c.client && s.Val > 0 {
				return violation(http2.ErrCodeProtocol, "SETTINGS_ENABLE_PUSH above 1")
			}
		case http2.SettingEnableConnectProtocol:
			if s.Val > 1 {
				return violation(http2.ErrCodeProtocol, "SETTINGS_ENABLE_CONNECT_PROTOCOL above 1")
			}
			c.connect = s.Val == 1
		case http2.SettingMaxFrameSize:
			if s.Val < frameSize || s.Val > 1<<24-1 {
				return violation(http2.ErrCodeProtocol, "SETTINGS_MAX_FRAME_SIZE out of range")
			}
		case http2.SettingInitialWindowSize:
			if s.Val > maxWindow {
				return violation(http2.ErrCodeFlowControl, "SETTINGS_INITIAL_WINDOW_SIZE out of range")
			}
			grow := int64(s.Val) - c.initial
			c.initial = int64(s.Val)
			for _, s := range c.streams {
				if s.window += grow; s.window > maxWindow {
					return violation(http2.ErrCodeFlowControl, "a window above 2^31-1")
				}
				s.cond.Broadcast()
			}
		}
		return nil
	})
	c.known = true
	c.settled.Broadcast()
	c.out = appendFrameHead(c.out, 0, http2.FrameSettings, http2.FlagSettingsAck, 0)
	return err
}

func (c *Conn) windowUpdate(f *http2.WindowUpdateFrame) error {
	if err := c.charge(1); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.StreamID == 0 {
		if c.window += int64(f.Increment); c.window > maxWindow {
			return violation(http2.ErrCodeFlowControl, "a window above 2^31-1")
		}
		for _, s := range c.streams {
			s.cond.Broadcast()
		}
		return nil
	}
	s := c.streams[f.StreamID]
	if s == nil {
		return c.idle(f.StreamID)
	}
	if s.window += int64(f.Increment); s.window > maxWindow {
		return http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeFlowControl}
	}
	s.cond.Broadcast()
	return nil
}

// idle returns an error if no request with that id was made yet. The caller holds the lock.
func (c *Conn) idle(id uint32) error {
	if id%2 == 0 || id > c.last {
		return violation(http2.ErrCodeProtocol, "a frame for a stream that was not opened")
	}
	return nil
}

func (c *Conn) clientReset(f *http2.RSTStreamFrame) error {
	c.mu.Lock()
	s := c.streams[f.StreamID]
	if s == nil {
		err := c.idle(f.StreamID)
		c.mu.Unlock()
		if err != nil {
			return err
		}
		return c.charge(1)
	}
	unfinished := !s.sent && !c.client
	switch {
	case c.client && s.ended:
		s.stopSending() // the response is complete, and the server does not need the rest of the request, or got it too late
	case f.ErrCode == http2.ErrCodeRefusedStream && c.client:
		s.fail(ErrRefused)
	default:
		s.fail(errReset)
	}
	c.mu.Unlock()
	if !unfinished {
		return c.charge(1)
	}
	now := c.cfg.Now()
	if now-c.resetsAt > int64(resetsTime) {
		c.resets, c.resetsAt = 0, now
	}
	if c.resets++; c.resets > resetsMost {
		return violation(http2.ErrCodeEnhanceYourCalm, "too many requests cancelled")
	}
	return nil
}

func (c *Conn) data(f *http2.DataFrame) error {
	size := int64(f.Length) // padding counts (RFC 9113 §6.9.1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.recv -= size; c.recv < 0 {
		return violation(http2.ErrCodeFlowControl, "more body bytes than the window of the connection allows")
	}
	s := c.streams[f.StreamID]
	if s == nil || s.err != nil {
		c.giveBack(size)
		return c.dataTooLate(f.StreamID, s)
	}
	if s.ended {
		c.giveBack(size)
		return http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeStreamClosed}
	}
	if s.recv -= size; s.recv < 0 {
		return http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeFlowControl}
	}
	if c.client && !s.final {
		return http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeProtocol}
	}
	data := f.Data()
	s.got += int64(len(data))
	if s.declared >= 0 && (s.got > s.declared || f.StreamEnded() && s.got < s.declared) {
		return http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeProtocol} // before ended: a reader must not take a part for the whole
	}
	if f.StreamEnded() {
		s.ended = true
		s.settle()
	}
	if over := size - int64(len(data)); over > 0 { // padding is not read by anybody
		s.consumed(over)
	}
	if s.closed {
		s.consumed(int64(len(data)))
	} else {
		s.put(data)
		s.cond.Broadcast()
	}
	if len(data) == 0 && !s.ended {
		c.mu.Unlock()
		err := c.charge(1)
		c.mu.Lock()
		return err
	}
	c.earn(1)
	return nil
}

// dataTooLate returns the error for body bytes of a stream that has ended. The caller holds the lock.
func (c *Conn) dataTooLate(id uint32, s *Stream) error {
	if s != nil && s.resetHere {
		return nil // the client may not know yet
	}
	if s == nil {
		if err := c.idle(id); err != nil {
			return err
		}
		if r := c.recently(id); r != nil && r.byUs && !r.client {
			return nil
		}
	}
	return http2.StreamError{StreamID: id, Code: http2.ErrCodeStreamClosed}
}

func (c *Conn) recently(id uint32) *recent {
	for i := range c.recent {
		if r := &c.recent[i]; r.inUse && r.id == id {
			return r
		}
	}
	return nil
}

// giveBack returns n bytes of the connection's window to the client. The caller holds the lock.
func (c *Conn) giveBack(n int64) {
	if c.credit += n; c.credit >= c.connWin/4 {
		c.recv += c.credit
		c.out = appendWindowUpdate(c.out, 0, c.credit)
		c.credit = 0
	}
}
