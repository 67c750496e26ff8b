package gopherdiscovery_test

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.nanomsg.org/mangos/v3"
	"go.nanomsg.org/mangos/v3/protocol/respondent"

	"github.com/dahernan/gopherdiscovery"
)

// The helpers in this file are for tests in fake time over inproc.

const (
	inprocSurvey = "inproc://survey"
	inprocLists  = "inproc://lists"
)

var bubbleOptions = gopherdiscovery.Options{
	SurveyTime: 1 * time.Second,
	PollTime:   2 * time.Second,
	ReturnTime: 2 * time.Second,
	Logger:     slog.New(slog.DiscardHandler),
}

// delivered is a list and the time of its delivery, since the start of the
// bubble.
type delivered struct {
	at   time.Duration
	list string
}

// record keeps the lists that are received from a channel.
type record struct {
	start time.Time
	mu    sync.Mutex
	got   []delivered
}

func newRecord(lists <-chan []string) *record {
	r := &record{start: time.Now()}
	go func() {
		for list := range lists {
			r.mu.Lock()
			r.got = append(r.got, delivered{time.Since(r.start), strings.Join(list, " ")})
			r.mu.Unlock()
		}
	}()
	return r
}

// expect checks the lists delivered since the last call.
func (r *record) expect(t *testing.T, want ...delivered) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.got, want) {
		t.Errorf("%v after the start: delivered %v, want %v", time.Since(r.start), r.got, want)
	}
	r.got = nil
}

func bubbleServer(t *testing.T, opt gopherdiscovery.Options) *gopherdiscovery.DiscoveryServer {
	t.Helper()
	server := startServerAt(t, inprocSurvey, inprocLists, opt)
	synctest.Wait()
	return server
}

// silentClient connects as a client would. It answers only when the test does.
func silentClient(t *testing.T) mangos.Socket {
	t.Helper()
	sock, err := respondent.NewSocket()
	if err != nil {
		t.Fatal(err)
	}
	if err := sock.Dial(inprocSurvey); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sock.Close() })
	return sock
}

// answerSurvey answers the oldest survey that the client has not read.
func answerSurvey(t *testing.T, client mangos.Socket, name string) {
	t.Helper()
	if _, err := client.Recv(); err != nil {
		t.Error(err)
	}
	if err := client.Send([]byte(name)); err != nil {
		t.Error(err)
	}
}
