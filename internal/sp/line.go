package sp

import (
	"context"
	"fmt"
	"time"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol"
)

// A Line keeps one connection to an address: it connects in the background, and
// again whenever the connection is lost, until it is hung up or its socket is
// closed. Each line has a mangos socket of its own, since these never forget a
// dialer.
type Line struct {
	*Socket
	address Address
	outage  *Outage         // of the server; lines to the same server share it
	doubt   error           // why it is dialed beside another line; may be nil
	ctx     context.Context // ends with the line
	cancel  context.CancelFunc
	dialer  mangos.Dialer
}

// NewLine returns a line of a socket, which has not begun to connect. Lines to
// the same server share its outage. The doubt is why it is dialed beside
// another line, or nil.
func NewLine(s *Socket, a Address, o *Outage, doubt error) *Line {
	l := &Line{Socket: s, address: a, outage: o, doubt: doubt}
	l.ctx, l.cancel = context.WithCancel(s.ctx)
	return l
}

// Dial begins to connect.
func (l *Line) Dial() error {
	var err error
	l.dialer, err = protocol.MakeSocket(l).NewDialer(privateURL(l.address), map[string]any{
		mangos.OptionDialAsynch:    true,
		mangos.OptionReconnectTime: time.Duration(0), // our dialer waits
	})
	if err == nil {
		err = l.dialer.Dial()
	}
	if err != nil {
		l.cancel()
		return fmt.Errorf("gopherdiscovery: dial %s: %w", l.address, err)
	}
	return nil
}

// Doubt returns why the line is dialed beside another one, or nil.
func (l *Line) Doubt() error { return l.doubt }

// Cancel ends all attempts to connect, without waiting. The end of an
// established connection is no outage any more.
func (l *Line) Cancel() { l.cancel() }

// HangUp ends all attempts to connect. It leaves an established connection to
// the caller. One that is being established is refused by the role.
func (l *Line) HangUp() {
	l.cancel()
	_ = l.dialer.Close() // the second time it returns ErrClosed
}

// AddPipe is called by mangos with a new connection.
func (l *Line) AddPipe(core protocol.Pipe) error { return l.add(core, l) }

// GetOption also lets our transport find the line.
func (l *Line) GetOption(name string) (any, error) {
	if name == optionLine {
		return l, nil
	}
	return l.Socket.GetOption(name)
}
