package gopherdiscovery

import (
	"fmt"
	"net"
	"strings"

	"github.com/dahernan/gopherdiscovery/internal/sp"
	"go.nanomsg.org/mangos/v3/transport"
)

const (
	memoryScheme = "memory"
	plainScheme  = "memory+plain"
)

func init() {
	transport.RegisterTransport(sp.NewTransport(memoryScheme, memoryNetwork{}, false))
	transport.RegisterTransport(sp.NewTransport(plainScheme, memoryNetwork{}, true))
}

// memoryNetwork is the network of all Memories. A target is the id of one, a
// slash and a name.
type memoryNetwork struct{}

func (memoryNetwork) Listen(target string) (net.Listener, error) {
	m, name, err := behind(target)
	if err != nil {
		return nil, err
	}
	return m.listen(name)
}

func (memoryNetwork) Dial(target string) (net.Conn, error) {
	m, name, err := behind(target)
	if err != nil {
		return nil, err
	}
	return m.dial(name)
}

// behind returns the network and the name that a target stands for.
func behind(target string) (*Memory, string, error) {
	id, name, _ := strings.Cut(target, "/")
	m, ok := memories.Load(id)
	if !ok {
		return nil, "", fmt.Errorf("there is no network %q", id)
	}
	return m.(*Memory), name, nil
}
