package cli

import "testing"

func TestInFlags(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`gopherdiscovery: invalid URL: urlServer "url service": want scheme://address`:             `invalid URL: -server "url service": want scheme://address`,
		`gopherdiscovery: invalid URL: urlPubSub "tcp://a:1": the same address as urlServer`:       `invalid URL: -pubsub "tcp://a:1": the same address as -server`,
		`gopherdiscovery: invalid URL: url "\"url": unknown scheme ""`:                             `invalid URL: -pubsub "\"url": unknown scheme ""`,
		`gopherdiscovery: invalid service name: service "a|b": contains "|"`:                       `invalid service name: -name "a|b": contains "|"`,
		`gopherdiscovery: invalid argument: Options.PollTime 1ns: below 1ms, is the unit missing?`: `invalid argument: -poll-time 1ns: below 1ms, is the unit missing?`,
		`gopherdiscovery: listen on tcp://service:1: address in use`:                               `listen on tcp://service:1: address in use`,
		`-pubsub url: no complete list`:                                                            `-pubsub url: no complete list`,
	} {
		if got := inFlags(text); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
