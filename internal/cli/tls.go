package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
)

// tlsFiles are the files that the -tls flags name.
type tlsFiles struct{ cert, key, ca string }

// ServerTLS returns the configuration of a server, nil without -tls-cert. With
// -tls-ca each client must show a certificate that one of these authorities has
// signed. Each handshake is made with what is in the files then.
func (f *Flags) ServerTLS() (*tls.Config, error) {
	pair, err := f.certificate()
	switch {
	case err != nil:
		return nil, err
	case pair == nil && f.tls.ca != "":
		return nil, Usagef("-tls-ca %s needs -tls-cert and -tls-key", f.tls.ca)
	case pair == nil:
		return nil, nil
	}
	authorities, err := f.authorities()
	if err != nil {
		return nil, err
	}
	current := func() *tls.Config {
		config := &tls.Config{
			Certificates: []tls.Certificate{*pair.get()},
			// A ticket would let in clients of an authority that is
			// no longer in the file.
			SessionTicketsDisabled: true,
		}
		if authorities != nil {
			config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, authorities.get()
		}
		return config
	}
	config := current()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return current(), nil }
	return config, nil
}

// ClientTLS returns the configuration of a client, for URLs that need one.
// Without -tls-ca it trusts the authorities that the system trusts. Each
// handshake is made with what is in the files then.
func (f *Flags) ClientTLS() (*tls.Config, error) {
	pair, err := f.certificate()
	if err != nil {
		return nil, err
	}
	authorities, err := f.authorities()
	if err != nil {
		return nil, err
	}
	config := new(tls.Config)
	if pair != nil {
		config.GetClientCertificate = func(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			certificate := pair.get()
			if request.SupportsCertificate(certificate) != nil {
				return new(tls.Certificate), nil // none, as with Config.Certificates
			}
			return certificate, nil
		}
	}
	if authorities != nil {
		addresses := f.addresses()
		config.InsecureSkipVerify = true // RootCAs cannot change; this does the same:
		config.VerifyConnection = func(state tls.ConnectionState) error {
			return verifyServer(state, authorities.get(), addresses)
		}
	}
	return config, nil
}

// certificate is nil without the flags for it.
func (f *Flags) certificate() (*fromFiles[*tls.Certificate], error) {
	switch {
	case f.tls.cert == "" && f.tls.key == "":
		return nil, nil
	case f.tls.key == "":
		return nil, Usagef("-tls-cert %s needs -tls-key", f.tls.cert)
	case f.tls.cert == "":
		return nil, Usagef("-tls-key %s needs -tls-cert", f.tls.key)
	}
	return watch(f, func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(f.tls.cert, f.tls.key)
		if err != nil {
			return nil, Usagef("-tls-cert %s, -tls-key %s: %v", f.tls.cert, f.tls.key, err)
		}
		return &pair, nil
	}, f.tls.cert, f.tls.key)
}

// authorities is nil without -tls-ca.
func (f *Flags) authorities() (*fromFiles[*x509.CertPool], error) {
	if f.tls.ca == "" {
		return nil, nil
	}
	return watch(f, func() (*x509.CertPool, error) {
		pem, err := os.ReadFile(f.tls.ca)
		if err != nil {
			return nil, Usagef("-tls-ca: %v", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, Usagef("-tls-ca %s: no certificate in it", f.tls.ca)
		}
		return pool, nil
	}, f.tls.ca)
}

// watch returns what is read from the files, which SIGHUP reloads.
func watch[T any](f *Flags, read func() (T, error), files ...string) (*fromFiles[T], error) {
	value, err := newFromFiles(f.Logger(), read, files...)
	if err != nil {
		return nil, err
	}
	f.OnHangup(value.reload)
	return value, nil
}

// addresses returns the hosts of -server and -pubsub that are IP addresses and
// reached over TLS.
func (f *Flags) addresses() (addresses []string) {
	for _, name := range []string{"server", "pubsub"} {
		urls := f.Lookup(name)
		if urls == nil {
			continue
		}
		for url := range strings.SplitSeq(urls.Value.String(), ",") {
			hostPort, isTLS := strings.CutPrefix(url, "tls+tcp://")
			host, _, err := net.SplitHostPort(hostPort)
			if err != nil || !isTLS {
				continue
			}
			if ip, err := netip.ParseAddr(host); err == nil {
				addresses = append(addresses, ip.WithZone("").String())
			}
		}
	}
	return addresses
}

// verifyServer does what a client of crypto/tls does with RootCAs. The state
// has no server name if the host is an IP address, which no client sends (RFC
// 6066, section 3). The certificate must be good for one of the addresses then;
// with the addresses of several servers in the flags, for that of any.
func verifyServer(state tls.ConnectionState, roots *x509.CertPool, addresses []string) error {
	certificate := state.PeerCertificates[0]
	options := x509.VerifyOptions{Roots: roots, DNSName: state.ServerName, Intermediates: x509.NewCertPool()}
	for _, intermediate := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(intermediate)
	}
	_, err := certificate.Verify(options)
	if err == nil && state.ServerName == "" {
		err = verifyAddress(certificate, addresses)
	}
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
	}
	return nil
}

func verifyAddress(certificate *x509.Certificate, addresses []string) error {
	err := errors.New("the URL has no host for which a certificate could be good")
	for _, address := range addresses {
		if err = certificate.VerifyHostname(address); err == nil {
			return nil
		}
	}
	return err
}
