package main

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dahernan/gopherdiscovery/internal/cli/clitest"
)

// If strangerVariable is set, another client is on the list before peer-1 is.
// The peers then never have the list that the program waits for, however fast
// they are.
const strangerVariable = "GOPHERDISCOVERY_CLUSTER_STRANGER"

func TestMain(m *testing.M) {
	clitest.Main(m, func() {
		if os.Getenv(strangerVariable) != "" && os.Getenv(roleVariable) == "peer-1" {
			letStrangerJoin()
		}
		main()
	})
}

// letStrangerJoin lets a client of this process, which is that of peer-1, join
// the server that peer-1 is about to join. It returns when the client is on the
// list, or when the process has been told to end.
func letStrangerJoin() {
	ctx := untilStdinEnds()
	s, err := parse(os.Args[1:])
	if err != nil {
		panic(err)
	}
	stranger, err := clitest.Quiet.ClientWithSub(ctx, s.urlServer, s.urlPubSub, "stranger")
	if err != nil {
		panic(err)
	}
	lists, err := stranger.Peers()
	if err != nil {
		panic(err)
	}
	for list := range lists { // ends with ctx
		if slices.Contains(list, "stranger") {
			return
		}
	}
}

// warnings matches what a run that is cut short may print on stderr. Which
// process ends first, and what it is doing then, is up to chance.
const warnings = `^(.* WARN gopherdiscovery: .*\n)*`

func TestScene(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := clitest.Start(t).Wait()
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 and nothing", code, stderr)
	}
	wantLines(t, stdout,
		`A server surveys on tcp://127\.0\.0\.1:[1-9]\d* and publishes on tcp://127\.0\.0\.1:[1-9]\d*\.`,
		`3 peers join, and those that come together are one list\..*`,
		` *\d+\.\d ms  \+ (peer-\d ?)+  \[peer-1 peer-2 peer-3\]`,
		` *\d+\.\d ms  all 3 peers have this list`,
		`peer-4 joins:.*`,
		` *\d+\.\d ms  \+ peer-4  \[peer-1 peer-2 peer-3 peer-4\]`,
		` *\d+\.\d ms  all 4 peers have this list`,
		`peer-2 is killed.*`,
		` *\d+\.\d ms  - peer-2  \[peer-1 peer-3 peer-4\]`,
		` *\d+\.\d ms  all 3 peers have this list`,
		`peer-3 leaves:.*`,
		` *\d+\.\d ms  - peer-3  \[peer-1 peer-4\]`,
		` *\d+\.\d ms  all 2 peers have this list`,
		`.* no process is left\.`,
	)
}

// wantLines checks that the output has matching lines in this order. On a busy
// machine there may be others in between.
func wantLines(t *testing.T, output string, want ...string) {
	t.Helper()
	for line := range strings.Lines(output) {
		if len(want) > 0 && regexp.MustCompile("^"+want[0]+"\n$").MatchString(line) {
			want = want[1:]
		}
	}
	if len(want) > 0 {
		t.Errorf("no line matches %q where it should in\n%s", want[0], output)
	}
}

func TestFewestPeers(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := clitest.Start(t, "-peers", "2").Wait()
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 and nothing", code, stderr)
	}
	wantLines(t, stdout, `.*  all 2 peers .*`, `.*  all 3 peers .*`, `.*  - peer-2  .*`, `.*  - peer-3  \[peer-1\]`)
}

func TestManyPeers(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := clitest.Start(t, "-peers", "12").Wait()
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 and nothing", code, stderr)
	}
	wantLines(t, stdout, `.*  \[12 peers\]`, `.*  \+ peer-13  \[13 peers\]`, `.*  - peer-2  \[12 peers\]`, `.*  - peer-3  \[11 peers\]`)
}

// A server is killed, and the peers neither leave the list nor miss the next
// change.
func TestSeveralServers(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := clitest.Start(t, "-servers", "3").Wait()
	if code != 0 || !regexp.MustCompile(warnings+`$`).MatchString(stderr) {
		t.Errorf("exit code %d, stderr %q, want 0 and at most warnings", code, stderr)
	}
	wantLines(t, stdout, `A server surveys .*`, `A server surveys .*`, `A server surveys .*`, `.*  all 4 peers .*`,
		`server-1 is killed too.*`, ``, `peer-3 leaves:.*`, `.*  - peer-3  \[peer-1 peer-4\]`, `.*  all 2 peers .*`)
}

func TestGivenURLs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	survey, pubsub := "ipc://"+filepath.Join(dir, "s"), "ipc://"+filepath.Join(dir, "p")
	stdout, stderr, code := clitest.Start(t, "-server", survey, "-pubsub", pubsub).Wait()
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 and nothing", code, stderr)
	}
	wantLines(t, stdout, regexp.QuoteMeta("A server surveys on "+survey+" and publishes on "+pubsub+"."))
	clitest.WantEmpty(t, dir)
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-peers", "1"}, "-peers 1 "},
		{[]string{"-peers", "101"}, "-peers 101 "},
		{[]string{"-timeout", "0s"}, "-timeout 0s "},
		{[]string{"-servers", "0"}, "-servers 0 "},
		{[]string{"-servers", "6"}, "-servers 6 "},
		{[]string{"-servers", "2", "-pubsub", "tcp://127.0.0.1:0"}, "names 1"},
		{[]string{"word"}, `"word"`},
		{[]string{"-server", "nonsense"}, `"nonsense"`},
		{[]string{"-pubsub", "tcp://127.0.0.1:65536"}, "65536"},
		{[]string{"-server", "inproc://a"}, "inproc"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			t.Parallel()
			clitest.Start(t, test.args...).WantFailure(1, "cluster: ", test.want)
		})
	}
}

func TestBadFlags(t *testing.T) {
	t.Parallel()
	for _, arg := range []string{"-peers=many", "-nonsense"} {
		_, stderr, code := clitest.Start(t, arg).Wait()
		name, _, _ := strings.Cut(arg, "=")
		if code != 2 || !strings.Contains(stderr, name) {
			t.Errorf("%s: exit code %d, stderr %q, want 2 and the flag", arg, code, stderr)
		}
	}
}

func TestTakenPort(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, flag := range []string{"-server", "-pubsub"} {
		url := "tcp://" + taken.Addr().String()
		t.Run(flag, func(t *testing.T) {
			_, stderr, code := clitest.Start(t, flag, url).Wait()
			if code != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, url) {
				t.Errorf("exit code %d, stderr %q, want 1 and a line with %s", code, stderr, url)
			}
		})
	}
}

func TestNotSeenInTime(t *testing.T) {
	t.Parallel()
	_, stderr, code := clitest.Start(t, strangerVariable+"=1", "-timeout", "250ms").Wait()
	if code != 1 || !regexp.MustCompile(warnings+`cluster: gave up after 250ms: .*\n$`).MatchString(stderr) {
		t.Errorf("exit code %d, stderr %q, want 1 and a line that says so", code, stderr)
	}
}
