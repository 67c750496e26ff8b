//go:build unix

package interop_test

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/sptest"
	"github.com/dahernan/gopherdiscovery/internal/testmain"
)

var sessionLine = regexp.MustCompile(`^    (peer|server)  +((?:[0-9a-f]{2} )*[0-9a-f]{2})(?:  |\n)`)

// session is what docs/protocol.md shows of one connection, without the
// handshakes.
type session struct {
	peer, server []string // messages
}

// readSessions reads the two connections from the document.
func readSessions(t *testing.T) (survey, pubsub session) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	said := make(map[string][]byte)
	address := ""
	for line := range strings.Lines(string(text)) {
		if before, _, found := strings.Cut(line, " address, "); found && strings.HasPrefix(line, "    ") {
			address = strings.TrimSpace(before)
		}
		if m := sessionLine.FindStringSubmatch(line); m != nil {
			part, err := hex.DecodeString(strings.ReplaceAll(m[2], " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			said[address+" "+m[1]] = append(said[address+" "+m[1]], part...)
		}
	}
	take := func(who string, proto byte) (messages []string) {
		bytes := said[who]
		if want := "\x00SP\x00\x00" + string(proto) + "\x00\x00"; len(bytes) < 8 || string(bytes[:8]) != want {
			t.Fatalf("%s: the handshake is not % x in % x", who, want, bytes)
		}
		for bytes = bytes[8:]; len(bytes) > 0; {
			end := 8 + int(binary.BigEndian.Uint64(bytes))
			messages = append(messages, string(bytes[8:end]))
			bytes = bytes[end:]
		}
		return messages
	}
	survey = session{take("survey peer", sptest.Respondent), take("survey server", sptest.Surveyor)}
	pubsub = session{take("pub/sub peer", sptest.Sub), take("pub/sub server", sptest.Pub)}
	return survey, pubsub
}

// TestProtocolDocument plays the session in the document with a server.
func TestProtocolDocument(t *testing.T) {
	t.Parallel()
	survey, pubsub := readSessions(t)
	if len(survey.server) != 1 || len(survey.peer) != 2 || len(pubsub.server) != 4 || len(pubsub.peer) != 0 {
		t.Fatalf("found %q and %q", survey, pubsub)
	}
	server := startServer(t, "tcp://127.0.0.1:0", "tcp://127.0.0.1:0")
	surveyURL, pubsubURL := server.URLs()

	c := sptest.Dial(t, surveyURL, sptest.Respondent, sptest.Surveyor)
	id := c.MustReceive(t)
	if len(id) != len(survey.server[0]) || id[0]&0x80 == 0 {
		t.Fatalf("got the survey % x, the document has % x", id, survey.server[0])
	}
	c.MustSend(t, strings.Replace(survey.peer[0], survey.server[0], string(id), 1))
	testmain.Await(t, "the answer puts a name on the list", func() bool { return len(server.Services()) > 0 })

	watch := sptest.Dial(t, pubsubURL, sptest.Sub, sptest.Pub)
	var joined *gopherdiscovery.DiscoveryClient
	for i, cause := range []func(){
		func() {},
		func() { joined = announce(t, surveyURL, "http://10.0.0.4:8080") },
		func() { c.MustSend(t, survey.peer[1]); c.Close() }, // goodbye
		func() { joined.Close() },
	} {
		cause()
		if got := watch.MustReceive(t); string(got) != pubsub.server[i] {
			t.Errorf("list %d: got %q, the document has %q", i+1, got, pubsub.server[i])
		}
	}
}
