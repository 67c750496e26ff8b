package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/dahernan/gopherdiscovery"
	"github.com/dahernan/gopherdiscovery/internal/names"
)

// ownsName admits a service whose name is in the client's certificate, and one
// that is a URL or host:port whose host is, of any kind. The names in a
// certificate are its common name, and the DNS names and IP addresses that it
// is good for.
func ownsName(service string, from gopherdiscovery.Conn) error {
	if from.TLS == nil || len(from.TLS.PeerCertificates) == 0 {
		return errors.New("the client has no certificate")
	}
	cert := from.TLS.PeerCertificates[0]
	if isNamed(cert, service) || isNamed(cert, host(service)) {
		return nil
	}
	return fmt.Errorf("the certificate is for %q, %q and %v", cert.Subject.CommonName, cert.DNSNames, cert.IPAddresses)
}

func isNamed(cert *x509.Certificate, name string) bool {
	return name != "" && (name == cert.Subject.CommonName || cert.VerifyHostname(name) == nil)
}

func host(service string) string {
	_, service = names.Split(service)
	if u, err := url.Parse(service); err == nil && u.Host != "" {
		return u.Hostname()
	}
	if host, _, err := net.SplitHostPort(service); err == nil {
		return host
	}
	return ""
}
