//go:build !linux

package run

import "os"

// commands does nothing here but to start commands.
var commands starter

type starter struct{}

func (starter) start(p *Process) error { return p.cmd.Start() }

func (starter) ended(*Process) {}

type sharing struct{}

func (p *Process) giveWanted(os.Signal) {}

// ShareTerminal does nothing here.
func (p *Process) ShareTerminal() (stop func()) { return func() {} }
