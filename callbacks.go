package gopherdiscovery

import (
	"crypto/tls"
	"crypto/x509"
	"io"
)

// withGetConfig returns a copy of a server's TLS configuration of which each
// handshake gets a copy of its own, with callbacks that take no turn. The
// copies share the keys of the session tickets. It returns config itself if
// that has no callbacks.
func withGetConfig(config *tls.Config) *tls.Config {
	if config == nil || config.GetConfigForClient == nil && !hasCallbacks(config) {
		return config
	}
	shared := config.Clone()
	shared.GetConfigForClient = func(hello *tls.ClientHelloInfo) (chosen *tls.Config, err error) {
		s, isOurs := hello.Conn.(*tlsHandshakeConn)
		choose := config.GetConfigForClient
		if isOurs {
			choose = outsideTurn(s, choose)
		}
		if choose != nil {
			chosen, err = choose(hello)
		}
		if err != nil || !isOurs {
			return chosen, err
		}
		setDefault(&chosen, config)
		return s.withoutTurns(chosen), nil
	}
	return shared
}

func hasCallbacks(c *tls.Config) bool {
	return c.GetCertificate != nil || c.GetClientCertificate != nil || c.VerifyPeerCertificate != nil || c.VerifyConnection != nil
}

// withoutTurns returns a configuration for this handshake whose callbacks take
// no turn, so that one which hangs keeps no other handshake waiting.
func (s *tlsHandshakeConn) withoutTurns(config *tls.Config) *tls.Config {
	if !hasCallbacks(config) {
		return config
	}
	own := config.Clone()
	own.GetCertificate = outsideTurn(s, config.GetCertificate)
	own.GetClientCertificate = outsideTurn(s, config.GetClientCertificate)
	if verify := config.VerifyConnection; verify != nil {
		own.VerifyConnection = func(state tls.ConnectionState) error {
			return s.callUser(func() error { return verify(state) })
		}
	}
	if verify := config.VerifyPeerCertificate; verify != nil {
		own.VerifyPeerCertificate = func(raw [][]byte, chains [][]*x509.Certificate) error {
			return s.callUser(func() error { return verify(raw, chains) })
		}
	}
	return own
}

// outsideTurn returns a function that calls f without a turn. It returns nil if
// f is nil.
func outsideTurn[A, R any](s *tlsHandshakeConn, f func(A) (R, error)) func(A) (R, error) {
	if f == nil {
		return nil
	}
	return func(argument A) (result R, err error) {
		err = s.callUser(func() (err error) {
			result, err = f(argument)
			return err
		})
		return result, err
	}
}

// callUser calls a user's function, which may hang, without a turn. Meanwhile
// the handshake may give way, as while it waits for the other side. The number
// of calls that hang is limited like that of handshakes.
func (s *tlsHandshakeConn) callUser(f func() error) (err error) {
	if s.over {
		return f()
	}
	defer s.endpoint.tlsCalls.Add(-1)
	if s.endpoint.tlsCalls.Add(1) > maxHandshakes {
		return errGaveWay
	}
	s.giveTurn()
	s.protect(begunGrace)
	s.endpoint.callUser(func() { err = f() })
	if !s.takeTurn() {
		return io.ErrUnexpectedEOF
	}
	return err
}
