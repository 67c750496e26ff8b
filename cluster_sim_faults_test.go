package gopherdiscovery

import (
	"fmt"
	"slices"
	"time"
)

const (
	// shortClusterStop is the length of a stop that the server may not notice.
	shortClusterStop = 750 * time.Millisecond

	// longestRTO is how long it may take until a segment is sent again.
	longestRTO = 20 * time.Second
)

// pick returns a share of the living clients.
func (c *clusterSim) pick(share float64) []*clusterClient {
	all := c.living()
	c.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:int(share*float64(len(all))+0.5)]
}

// join starts a client with a new name.
func (c *clusterSim) join() {
	name := fmt.Sprintf("c%02d", len(c.clients))
	c.startClient(name, c.newHost(name))
}

// end ends a living client.
func (c *clusterSim) end(how clusterEnding) {
	if all := c.living(); len(all) > 0 {
		all[c.rng.IntN(len(all))].die(how)
		c.observe()
	}
}

// kill kills clients at the same time.
func (c *clusterSim) kill(share float64) {
	for _, l := range c.pick(share) {
		l.die(clusterKilled)
	}
}

// deploy replaces clients by new ones.
func (c *clusterSim) deploy(share float64) {
	for _, l := range c.pick(share) {
		c.after(c.between(0, time.Second), func() {
			l.die(clusterLeaves)
			c.join()
		})
	}
}

// restart ends the server's process, and starts another one after a time.
func (c *clusterSim) restart(a *clusterAddress, down time.Duration) {
	s := a.server()
	if s == nil {
		return
	}
	c.oracle.disturb(down)
	s.exit()
	host := a.host
	c.replaced(a)
	c.after(down, func() {
		c.startServer(host)
		c.observe()
	})
}

// replaced records that the server at an address is not there any more.
func (c *clusterSim) replaced(a *clusterAddress) {
	c.observe()
	var all []*clusterLink
	for _, l := range c.living() {
		all = append(all, l.at(a))
	}
	c.trouble(a, all, false)
	for _, link := range all {
		link.watch.since, link.watch.server = a.clock(c), nil
		link.watch.comes(c.now)
	}
}

// failOver lets an address move to another machine when nothing has answered
// for a time. The server there may have been up for long.
func (c *clusterSim) failOver(a *clusterAddress, down time.Duration, standby bool) {
	if a.server() == nil {
		return
	}
	c.log("%s vanishes for %.3f s", a.host.name, down.Seconds())
	c.oracle.disturb(down)
	a.host.dead = true
	a.host = nil
	c.replaced(a)
	c.machines++
	host := c.newHost(fmt.Sprint(a.name, "-", c.machines))
	if standby {
		c.startServer(host)
	}
	c.after(down, func() {
		if !standby {
			c.startServer(host)
		}
		c.log("%s moves to %s", a.name, host.name)
		a.host = host
		c.observe()
	})
}

// cut cuts the connections of clients, who cannot return for a time.
func (c *clusterSim) cut(a *clusterAddress, share float64, down time.Duration) {
	s := a.server()
	if s == nil {
		return
	}
	all := c.pick(share)
	c.log("%d clients are cut from %s for %.3f s", len(all), a.name, down.Seconds())
	c.oracle.disturb(down)
	var hit []*clusterLink
	for _, l := range all {
		hit = append(hit, l.at(a))
		for _, e := range slices.Clone(l.process.ends) {
			if e.address == a {
				c.after(c.between(0, 10*time.Millisecond), e.reset)
				c.after(c.between(0, 10*time.Millisecond), e.other.reset)
			}
		}
		if down > 0 {
			l.process.host.cutOff(s.process.host, down)
		}
	}
	c.trouble(a, hit, true)
	if share == 1 || c.chance(0.3) {
		c.cutSubscribers(a, down)
	}
	c.until(down)
}

// blackOut lets nothing through between clients and an address for a time.
func (c *clusterSim) blackOut(a *clusterAddress, share float64, down time.Duration) {
	s := a.server()
	if s == nil {
		return
	}
	all := c.pick(share)
	c.log("nothing passes between %d clients and %s for %.3f s", len(all), a.name, down.Seconds())
	c.oracle.disturb(down + longestRTO + c.options.PollTime)
	if share == 1 || c.chance(0.3) {
		c.blackOutSubscribers(a, down)
	}
	for _, l := range all {
		l.process.host.cutOff(s.process.host, down)
	}
	c.until(down)
}

// stop stops the server's process for a time.
func (c *clusterSim) stop(a *clusterAddress, d time.Duration) {
	s := a.server()
	if s == nil || s.process.stopped {
		return
	}
	c.log("%s stops for %.3f s", a.name, d.Seconds())
	c.oracle.disturb(d)
	s.process.stopped, s.process.briefly = true, d < shortClusterStop
	c.observe()
	c.after(d, func() {
		s.process.briefly = false
		s.process.proceed()
		s.oracle.stopped = s.process.host.clock()
		c.observe()
	})
}

// suspend suspends the server's machine for a time.
func (c *clusterSim) suspend(a *clusterAddress, d time.Duration) {
	s := a.server()
	if s == nil || s.process.host.suspended {
		return
	}
	c.log("the machine of %s is suspended for %.3f s", a.name, d.Seconds())
	c.oracle.disturb(d + longestRTO + c.options.PollTime)
	s.process.host.suspend()
	c.observe()
	c.after(d, func() {
		s.process.host.wake()
		c.observe()
	})
}

// cutSubscribers cuts the connections of all subscribers, who cannot return for
// a time.
func (c *clusterSim) cutSubscribers(a *clusterAddress, down time.Duration) {
	for _, s := range c.subscribers {
		for _, e := range slices.Clone(s.process.ends) {
			if e.address == a {
				c.after(c.between(0, 10*time.Millisecond), e.reset)
				c.after(c.between(0, 10*time.Millisecond), e.other.reset)
			}
		}
		s.disturb(down)
		s.process.host.cutOff(a.host, down)
	}
}

func (c *clusterSim) blackOutSubscribers(a *clusterAddress, down time.Duration) {
	for _, s := range c.subscribers {
		s.disturb(down + longestRTO)
		s.process.host.cutOff(a.host, down)
	}
}

// hitSubscriber does something to a subscriber.
func (c *clusterSim) hitSubscriber(a *clusterAddress) {
	s := c.subscribers[c.rng.IntN(len(c.subscribers))]
	d := c.some(100*time.Millisecond, time.Minute)
	switch c.rng.IntN(4) {
	case 0:
		c.log("%s stops for %.3f s", s.name, d.Seconds())
		if !s.process.stopped {
			s.process.stopped = true
			s.disturb(d)
			c.after(d, func() {
				s.woke = c.now
				s.process.proceed()
			})
		}
	case 1:
		if a.server() != nil {
			c.log("%s is cut for %.3f s", s.name, d.Seconds())
			c.cutSubscribers(a, d)
		}
	case 2:
		if a.server() != nil {
			c.log("nothing passes between the subscribers and %s for %.3f s", a.name, d.Seconds())
			c.blackOutSubscribers(a, d)
		}
	default:
		c.log("the machine of %s is suspended for %.3f s", s.name, d.Seconds())
		if !s.process.host.suspended {
			s.process.host.suspend()
			s.disturb(d + longestRTO)
			c.after(d, func() {
				s.woke = c.now
				s.process.host.wake()
			})
		}
	}
}
