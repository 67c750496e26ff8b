//go:build !linux

package run

// commands does nothing here but to start commands.
var commands starter

type starter struct{}

func (starter) start(p *Process) error { return p.cmd.Start() }

func (starter) ended(*Process) {}

// ShareTerminal does nothing here.
func (p *Process) ShareTerminal() (stop func()) { return func() {} }
