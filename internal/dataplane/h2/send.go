package h2

import (
	"encoding/binary"

	"golang.org/x/net/http2"
)

// appendGoAway appends GOAWAY. The caller holds the lock.
func (c *Conn) appendGoAway(code http2.ErrCode, reason string) {
	c.leaving = true
	c.out = appendFrameHead(c.out, 8+len(reason), http2.FrameGoAway, 0, 0)
	c.out = binary.BigEndian.AppendUint32(c.out, c.last)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(code))
	c.out = append(c.out, reason...)
}

// appendSettings appends the settings of this side. The caller holds the lock.
func (c *Conn) appendSettings() {
	settings := []http2.Setting{
		{ID: http2.SettingEnablePush, Val: 0},
		{ID: http2.SettingInitialWindowSize, Val: uint32(c.streamWin)},
		{ID: http2.SettingMaxHeaderListSize, Val: uint32(c.cfg.HeadBytes)},
	}
	if !c.client {
		settings[0] = http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: uint32(c.cfg.MaxStreams)}
		settings = append(settings, http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
	}
	c.out = appendFrameHead(c.out, 6*len(settings), http2.FrameSettings, 0, 0)
	for _, s := range settings {
		c.out = binary.BigEndian.AppendUint16(c.out, uint16(s.ID))
		c.out = binary.BigEndian.AppendUint32(c.out, s.Val)
	}
	c.out = appendWindowUpdate(c.out, 0, c.connWin-65535)
}

// flush sends the buffer, and what is added to it meanwhile, unless another goroutine does. The caller holds the lock,
// which flush releases while it sends.
func (c *Conn) flush() {
	if c.flushing {
		return
	}
	c.flushing = true
	for len(c.out) > 0 && c.err == nil {
		sending := c.out
		c.out, c.spare = c.spare[:0], nil
		c.mu.Unlock()
		_, err := c.t.Write(sending)
		c.mu.Lock()
		if cap(sending) <= 2*outMost {
			c.spare = sending[:0]
		}
		if err != nil && c.err == nil {
			c.err = err
			for _, s := range c.streams {
				s.cond.Broadcast()
			}
		}
		c.flushed.Broadcast()
	}
	c.flushing = false
	if len(c.streams) == 0 {
		c.out, c.spare = nil, nil // an idle connection holds no buffer
	}
}

// sendAll sends the buffer and waits until all of it was sent. The caller holds the lock.
func (c *Conn) sendAll() {
	for c.err == nil && (c.flushing || len(c.out) > 0) {
		if c.flushing {
			c.flushed.Wait()
		} else {
			c.flush()
		}
	}
}

// room waits until the buffer has room, and returns an error if the connection has ended. The caller holds the lock.
func (c *Conn) room() error {
	for len(c.out) >= outMost && c.err == nil {
		if c.flushing {
			c.flushed.Wait()
		} else {
			c.flush()
		}
	}
	return c.err
}

func appendFrameHead(dst []byte, length int, t http2.FrameType, flags http2.Flags, id uint32) []byte {
	dst = append(dst, byte(length>>16), byte(length>>8), byte(length), byte(t), byte(flags))
	return binary.BigEndian.AppendUint32(dst, id)
}

func appendWindowUpdate(dst []byte, id uint32, n int64) []byte {
	dst = appendFrameHead(dst, 4, http2.FrameWindowUpdate, 0, id)
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

func appendReset(dst []byte, id uint32, code http2.ErrCode) []byte {
	dst = appendFrameHead(dst, 4, http2.FrameRSTStream, 0, id)
	return binary.BigEndian.AppendUint32(dst, uint32(code))
}
