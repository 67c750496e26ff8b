package run

import (
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// commands are those that run. As process 1 we are the parent of every process
// whose own parent has ended: an orphan that ends is taken in, so that it does
// not stay as a zombie, and the end of a command is left to who waits for it.
var commands = starter{running: make(map[int]*Process)}

type starter struct {
	takeIn sync.Once

	mu      sync.Mutex // held while a command is started; guards the field below
	running map[int]*Process
}

func (s *starter) start(p *Process) error {
	if os.Getpid() == 1 {
		s.takeIn.Do(func() {
			ends := make(chan os.Signal, 1)
			signal.Notify(ends, syscall.SIGCHLD)
			go func() {
				for range ends {
					for s.takeInOne() {
					}
				}
			}()
		})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := p.cmd.Start(); err != nil {
		return err
	}
	s.running[p.cmd.Process.Pid] = p
	return nil
}

func (s *starter) ended(p *Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, p.cmd.Process.Pid)
}

// takeInOne takes in one child that has ended. It returns false if there is
// none.
func (s *starter) takeInOne() bool {
	s.mu.Lock()
	pid := int(waitid(unix.P_ALL, 0, unix.WEXITED|unix.WNOWAIT).pid)
	p := s.running[pid]
	if pid != 0 && p == nil {
		_, _ = syscall.Wait4(pid, nil, 0, nil)
	}
	s.mu.Unlock()
	if p != nil {
		<-p.done // the next one can be seen then
	}
	return pid != 0
}
