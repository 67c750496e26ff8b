package membership

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// play runs a schedule as a server does, together with clients that answer
// surveys. Times are in milliseconds since its start.
type play struct {
	*script
	agenda  []event  // in the order of their times
	stops   [][2]int // times during which the server is stopped
	clients map[int]*player
	conns   map[int]*player // by connection
	last    int             // the last connection
	now     int
	wake    int
	told    []string // each published list, as "10020 -a +b"

	handshakes func(now int) Handshakes // nil if there are none
}

// event is something that happens at a time.
type event struct {
	at int
	do func()
}

// player is a client. It has one connection at most.
type player struct {
	id    int
	host  string
	names []string // none for a stranger
	takes int      // milliseconds to an answer
	hangs bool
	asked int // when it was first surveyed while it hung; 0 if it was not
	conn  int // 0 if none
}

func newPlay(t *testing.T, c Config) *play {
	return &play{
		script: newScript(t, c), clients: make(map[int]*player), conns: make(map[int]*player),
	}
}

// crowd returns a play with n clients, whose names are their numbers. They are
// there from the start, and ten seconds have passed.
func crowd(t *testing.T, n int, c Config) *play {
	p := newPlay(t, c)
	for id := range n {
		p.on(0, func() { p.join(id) })
	}
	p.run(10000)
	p.told = nil
	return p
}

// client returns a client, which is made if there is none. By default each has
// a host of its own and one name, its number.
func (p *play) client(id int) *player {
	if p.clients[id] == nil {
		p.clients[id] = &player{id: id, host: fmt.Sprint("host", id), names: []string{fmt.Sprint(id)}}
	}
	return p.clients[id]
}

// on adds something that happens at a time.
func (p *play) on(millis int, do func()) {
	at, _ := slices.BinarySearchFunc(p.agenda, millis+1, func(e event, millis int) int { return e.at - millis })
	p.agenda = slices.Insert(p.agenda, at, event{millis, do})
}

// steps adds what happens, as in "10000 break 0-6 9; 10500 join 3; 12000 stop
// 900".
func (p *play) steps(steps string) {
	p.t.Helper()
	for step := range strings.SplitSeq(steps, "; ") {
		fields := strings.Fields(step)
		at, err := strconv.Atoi(fields[0])
		if err != nil {
			p.t.Fatalf("step %q: %v", step, err)
		}
		var ids []int
		for _, field := range fields[2:] {
			var from, to int
			if n, _ := fmt.Sscanf(field, "%d-%d", &from, &to); n == 1 {
				to = from
			}
			for id := from; id <= to; id++ {
				ids = append(ids, id)
			}
		}
		if fields[1] == "stop" {
			p.stops = append(p.stops, [2]int{at, at + ids[0]})
			continue
		}
		act := map[string]func(int){
			"join": p.join, "break": p.breakConn, "lose": p.lose, "leave": p.leave,
			"hang":   func(id int) { p.client(id).hangs = true },
			"wake":   p.resume,
			"check":  func(id int) { p.Check(p.client(id).conn, p.client(id).names[0], p.At(p.now)) },
			"say":    func(id int) { p.hear(p.now, p.client(id).conn, "said") },
			"refuse": func(id int) { p.CheckEnded(p.client(id).conn) },
		}[fields[1]]
		if act == nil {
			p.t.Fatalf("step %q: unknown verb", step)
		}
		p.on(at, func() {
			for _, id := range ids {
				act(id)
			}
		})
	}
}

// join connects a client.
func (p *play) join(id int) {
	c := p.client(id)
	p.last++
	c.conn = p.last
	p.conns[c.conn] = c
	p.Connect(c.conn, c.host, p.At(p.now))
}

// breakConn ends the connection of a client.
func (p *play) breakConn(id int) { p.end(id, false) }

// lose ends the connection of a client, because nothing has arrived there.
func (p *play) lose(id int) { p.end(id, true) }

func (p *play) end(id int, timedOut bool) {
	c := p.client(id)
	p.Disconnect(c.conn, timedOut, p.At(p.now))
	delete(p.conns, c.conn)
	c.conn = 0
}

// leave ends the connection of a client with goodbye.
func (p *play) leave(id int) {
	for _, name := range p.client(id).names {
		p.Leave(p.client(id).conn, name, p.At(p.now))
	}
	p.breakConn(id)
}

// resume ends a hang. The client answers if it was surveyed meanwhile.
func (p *play) resume(id int) {
	c := p.client(id)
	if c.hangs = false; c.asked > 0 && c.conn > 0 {
		p.answer(c)
	}
	c.asked = 0
}

func (p *play) answer(c *player) {
	for _, name := range c.names {
		p.hear(p.now, c.conn, name)
	}
}

// ask surveys a connection.
func (p *play) ask(conn int) {
	c := p.conns[conn]
	if c == nil {
		return
	}
	asked := p.now
	p.on(p.now+c.takes, func() {
		switch {
		case p.conns[conn] != c:
		case !c.hangs:
			p.answer(c)
		case c.asked == 0:
			c.asked = asked
		}
	})
}

// run runs the server until a time, inclusive.
func (p *play) run(until int) {
	p.t.Helper()
	for calls := 0; ; {
		at := p.wake
		if len(p.agenda) > 0 {
			at = min(at, p.agenda[0].at)
		}
		for _, stop := range p.stops {
			if at >= stop[0] && at < stop[1] {
				at = stop[1]
			}
		}
		if at > until {
			return
		}
		if at > p.now {
			calls = 0
		} else if calls++; calls > 10 {
			p.t.Fatalf("Next is called again and again at %d ms", at)
		}
		p.now = at
		p.step()
	}
}

func (p *play) step() {
	now := p.At(p.now)
	p.Woke(now)
	for len(p.agenda) > 0 && p.agenda[0].at <= p.now {
		do := p.agenda[0].do
		p.agenda = p.agenda[1:]
		do()
	}
	if p.handshakes != nil && p.NeedsHandshakes() {
		p.SetHandshakes(p.handshakes(p.now))
	}
	do, wake := p.Next(now)
	p.wake = p.Millis(wake.Add(ms - 1))
	ask := do.Survey
	if do.Poll {
		ask = p.All()
	}
	for _, conn := range ask {
		p.ask(conn)
	}
	if do.Publish {
		p.publish()
	}
}

// publish records what is published, if that is new.
func (p *play) publish() {
	list, complete := p.List(), p.IsComplete()
	removed, added := wire.Compare(p.list, list)
	news := fmt.Sprint(p.now)
	for _, name := range removed {
		news += " -" + name
	}
	for _, name := range added {
		news += " +" + name
	}
	if complete != p.complete {
		news += " complete"
	}
	if len(removed)+len(added) > 0 || complete != p.complete {
		p.told = append(p.told, news)
	}
	p.list, p.complete = list, complete
}

// expect compares what was published since the last call.
func (p *play) expect(want ...string) {
	p.t.Helper()
	if !slices.Equal(p.told, want) {
		p.t.Errorf("got  %s\nwant %s", strings.Join(p.told, "; "), strings.Join(want, "; "))
	}
	p.told = nil
}

// ended fails the test unless the list is complete and has n names.
func (p *play) expectList(n int) {
	p.t.Helper()
	if list := p.List(); len(list) != n || !p.IsComplete() {
		p.t.Errorf("got %q, complete %t, want %d names, complete", list, p.IsComplete(), n)
	}
}

// played is a test in one line: what happens to a crowd, and what is published.
type played struct {
	name    string
	clients int
	config  Config
	steps   string
	want    []string
}

func (test played) run(t *testing.T) {
	t.Run(test.name, func(t *testing.T) {
		p := crowd(t, test.clients, test.config)
		p.steps(test.steps)
		p.run(int(10 * time.Minute / ms))
		p.expect(test.want...)
	})
}
