package gopherdiscovery

import (
	"slices"
	"time"

	"github.com/dahernan/gopherdiscovery/internal/sp"
	"github.com/dahernan/gopherdiscovery/internal/wire"
)

// registration is the session with a server that surveys the client.
type registration struct {
	announcer *announcer
	pipe      *sp.Pipe

	// The fields below are guarded by announcer.mu.
	answering bool   // an answer is being sent
	answered  bool   // a survey has been answered
	backtrace []byte // of the survey that was answered last

	// The bytes up to awaited are not known to be acknowledged. They were sent
	// at awaitedAt, which is zero if nothing is awaited.
	awaited   int64
	awaitedAt time.Time
}

func (r *registration) Began() {}

func (r *registration) Received(survey []byte) error {
	header, _, err := wire.SplitBacktrace(survey)
	if err != nil {
		r.pipe.Report("survey dropped", err)
		return nil
	}
	if r.answer(header) {
		r.announcer.surveyed(r, time.Now())
	}
	return nil
}

// answer answers a survey. It returns false if the client leaves, or the
// connection ends. After its goodbye an answer would announce the name again.
func (r *registration) answer(header []byte) bool {
	a := r.announcer
	a.mu.Lock()
	r.answering = !a.left
	a.mu.Unlock()
	if !r.answering {
		return false
	}
	err := r.pipe.Send(append(slices.Clip(header), a.client.service...))
	a.mu.Lock()
	r.answering = false
	if err != nil {
		a.mu.Unlock()
		return false
	}
	r.answered = true
	r.backtrace = append(r.backtrace[:0], header[:len(header)-4]...)
	r.awaitLocked(time.Now())
	left := a.left
	a.mu.Unlock()
	if left {
		r.sayGoodbye()
	}
	return !left
}

// sayGoodbye tells the server that the client leaves. No answer may be under
// way.
func (r *registration) sayGoodbye() {
	r.pipe.SendLast(wire.EncodeGoodbye(r.backtrace, r.announcer.client.service), goodbyeTime)
}

// awaitLocked awaits the acknowledgement of what has just been sent, unless
// older data is still unacknowledged.
func (r *registration) awaitLocked(now time.Time) {
	if acked, known := r.pipe.Acknowledged(); known && (r.awaitedAt.IsZero() || acked >= r.awaited) {
		r.awaited, r.awaitedAt = r.pipe.Sent(), now
	}
}

// ackDueLocked returns when the connection is to be doubted if nothing more is
// acknowledged. It is zero if nothing is awaited.
func (r *registration) ackDueLocked() time.Time {
	if r.awaitedAt.IsZero() {
		return r.awaitedAt
	}
	return r.awaitedAt.Add(ackTime)
}

// isAwaitingLocked reports whether something that was sent is not acknowledged.
func (r *registration) isAwaitingLocked() bool {
	acked, known := r.pipe.Acknowledged()
	return known && acked < r.awaited
}

// checkAckLocked returns true if something that was sent has been
// unacknowledged for too long.
func (r *registration) checkAckLocked(now time.Time) bool {
	if r.isAwaitingLocked() {
		return !r.awaitedAt.IsZero() && now.Sub(r.awaitedAt) >= ackTime
	}
	r.awaitedAt = time.Time{}
	return false
}

// excuseLocked gives the server its full time again. It is called when the
// client itself did not run.
func (r *registration) excuseLocked(now time.Time) {
	if !r.awaitedAt.IsZero() {
		r.awaitedAt = now
	}
}

func (r *registration) Say() []byte { return nil }

func (r *registration) Ended() { r.announcer.ended(r) }
