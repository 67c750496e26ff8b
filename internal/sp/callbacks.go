package sp

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"slices"
	"time"
)

// ServerTLS returns a copy of a server's TLS configuration of which each
// handshake gets a copy of its own, with callbacks that take no slot. The
// copies share the keys of the session tickets. It returns config itself if
// that has no callbacks.
func ServerTLS(config *tls.Config) *tls.Config {
	if config == nil || config.GetConfigForClient == nil && !hasCallbacks(config) {
		return config
	}
	shared := config.Clone()
	shared.GetConfigForClient = func(hello *tls.ClientHelloInfo) (chosen *tls.Config, err error) {
		s, isOurs := hello.Conn.(*tlsHandshakeConn)
		choose := config.GetConfigForClient
		if isOurs {
			choose = withoutSlot(s, choose)
		}
		if choose != nil {
			chosen, err = choose(hello)
		}
		if err != nil || !isOurs {
			return chosen, err
		}
		chosen = cmp.Or(chosen, config)
		return s.withoutSlots(chosen), nil
	}
	return shared
}

func hasCallbacks(c *tls.Config) bool {
	return c.GetCertificate != nil || c.GetClientCertificate != nil || c.VerifyPeerCertificate != nil || c.VerifyConnection != nil ||
		c.WrapSession != nil || c.UnwrapSession != nil || c.ClientSessionCache != nil || slices.ContainsFunc(c.Certificates, hasUsersKey)
}

// hasUsersKey reports whether a user's code signs with the key, for example in
// hardware.
func hasUsersKey(cert tls.Certificate) bool {
	switch cert.PrivateKey.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey:
		return false
	}
	return true
}

// withoutSlots returns a configuration for this handshake whose callbacks take
// no slot, so that one which hangs keeps no other handshake waiting.
func (s *tlsHandshakeConn) withoutSlots(config *tls.Config) *tls.Config {
	if !hasCallbacks(config) {
		return config
	}
	own := config.Clone()
	own.Certificates = slices.Clone(config.Certificates)
	for i := range own.Certificates {
		own.Certificates[i] = s.signingWithoutSlot(own.Certificates[i])
	}
	own.GetCertificate = signingWithoutSlot(s, withoutSlot(s, config.GetCertificate))
	own.GetClientCertificate = signingWithoutSlot(s, withoutSlot(s, config.GetClientCertificate))
	if cache := config.ClientSessionCache; cache != nil {
		own.ClientSessionCache = sessionCache{cache, s}
	}
	if wrap := config.WrapSession; wrap != nil {
		own.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
			return callWithoutSlot(s, func() ([]byte, error) { return wrap(state, session) })
		}
	}
	if unwrap := config.UnwrapSession; unwrap != nil {
		own.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
			return callWithoutSlot(s, func() (*tls.SessionState, error) { return unwrap(ticket, state) })
		}
	}
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

// withoutSlot returns a function that calls f without a slot. It returns nil if
// f is nil.
func withoutSlot[A, R any](s *tlsHandshakeConn, f func(A) (R, error)) func(A) (R, error) {
	if f == nil {
		return nil
	}
	return func(argument A) (R, error) {
		return callWithoutSlot(s, func() (R, error) { return f(argument) })
	}
}

// callWithoutSlot calls f without a slot. It returns the zero value if f does
// not return.
func callWithoutSlot[R any](s *tlsHandshakeConn, f func() (R, error)) (result R, err error) {
	returned := make(chan R, 1)
	err = s.callUser(func() error {
		r, err := f()
		returned <- r
		return err
	})
	select {
	case result = <-returned:
	default:
	}
	return result, err
}

// signingWithoutSlot returns a function that calls get, and lets the
// certificate sign without a slot. It returns nil if get is nil.
func signingWithoutSlot[A any](s *tlsHandshakeConn, get func(A) (*tls.Certificate, error)) func(A) (*tls.Certificate, error) {
	if get == nil {
		return nil
	}
	return func(argument A) (*tls.Certificate, error) {
		cert, err := get(argument)
		if err == nil && cert != nil {
			own := s.signingWithoutSlot(*cert)
			cert = &own
		}
		return cert, err
	}
}

// signingWithoutSlot returns a certificate that signs without a slot, if a
// user's code does that.
func (s *tlsHandshakeConn) signingWithoutSlot(cert tls.Certificate) tls.Certificate {
	key, ok := cert.PrivateKey.(crypto.Signer)
	if !ok || !hasUsersKey(cert) {
		return cert
	}
	cert.PrivateKey = signer{key, s}
	if decrypts, ok := key.(crypto.Decrypter); ok {
		cert.PrivateKey = decrypter{signer{key, s}, decrypts}
	}
	return cert
}

// signer is a user's key, which signs without a slot.
type signer struct {
	crypto.Signer
	handshake *tlsHandshakeConn
}

func (k signer) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return callWithoutSlot(k.handshake, func() ([]byte, error) { return k.Signer.Sign(random, digest, opts) })
}

// SignMessage makes signer a [crypto.MessageSigner], as the key may be.
func (k signer) SignMessage(random io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	return callWithoutSlot(k.handshake, func() ([]byte, error) { return crypto.SignMessage(k.Signer, random, message, opts) })
}

// decrypter is a signer that also decrypts, for clients that know no better way
// to agree on a key (RFC 5246, section 7.4.7.1).
type decrypter struct {
	signer
	key crypto.Decrypter
}

func (k decrypter) Decrypt(random io.Reader, message []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	return callWithoutSlot(k.handshake, func() ([]byte, error) { return k.key.Decrypt(random, message, opts) })
}

// sessionCache is a user's cache, which is called without a slot.
type sessionCache struct {
	tls.ClientSessionCache
	handshake *tlsHandshakeConn
}

func (c sessionCache) Get(key string) (*tls.ClientSessionState, bool) {
	session, err := callWithoutSlot(c.handshake, func() (*tls.ClientSessionState, error) {
		session, ok := c.ClientSessionCache.Get(key)
		if !ok {
			return nil, errNoSession
		}
		return session, nil
	})
	return session, err == nil
}

var errNoSession = errors.New("no session")

func (c sessionCache) Put(key string, session *tls.ClientSessionState) {
	_ = c.handshake.callUser(func() error {
		c.ClientSessionCache.Put(key, session)
		return nil
	})
}

// callUser calls a user's function, which may hang, without a slot. Meanwhile
// the handshake may give way, as while it waits for the other side. Errors of
// its own are kept, since crypto/tls wraps none of those with which a key
// fails.
func (s *tlsHandshakeConn) callUser(f func() error) error {
	if !s.over {
		s.releaseSlot()
		protect(s.protectedUntil, begunGrace)
	}
	err, callErr := s.call(f)
	if callErr == nil && !s.over && !s.acquireSlot() {
		callErr = io.ErrUnexpectedEOF
	}
	if callErr != nil {
		s.callErr = callErr
		return callErr
	}
	return err
}

// call returns the result of f, or why there is none. The number of calls that
// hang is limited like that of handshakes. A dialer waits for callbackTime
// only, also after the handshake, in which tickets of sessions may come (RFC
// 8446, section 4.6.1).
func (s *tlsHandshakeConn) call(f func() error) (err, failed error) {
	e := s.endpoint
	if e.tlsCalls.Add(1) > MaxHandshakes {
		e.tlsCalls.Add(-1)
		return nil, errManyCallbacks
	}
	if !s.dialed {
		defer e.tlsCalls.Add(-1)
		e.CallUser(func() { err = f() })
		return err, nil
	}
	if !e.Enter(1) {
		e.tlsCalls.Add(-1)
		return nil, net.ErrClosed
	}
	returned := make(chan error, 1)
	go func() {
		defer e.Exit()
		defer e.tlsCalls.Add(-1)
		e.CallUser(func() { returned <- f() })
	}()
	select {
	case err = <-returned:
		return err, nil
	case <-time.After(callbackTime):
		return nil, errSlowCallback
	case <-e.ctx.Done():
		return nil, net.ErrClosed
	}
}
