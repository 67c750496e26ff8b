package gopherdiscovery_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/url"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// Only clients with a certificate get in, and each may announce only a URL on a
// host of its certificate. The certificates are made on the spot; a program
// reads its own with tls.LoadX509KeyPair.
func ExampleOptions_mutualTLS() {
	authority := newCertificate(nil, nil)
	serverCertificate := newCertificate(&authority, net.IPv4(127, 0, 0, 1))
	clientCertificate := newCertificate(&authority, net.IPv4(10, 0, 0, 2))
	authorities := x509.NewCertPool()
	authorities.AddCert(authority.Leaf)

	opt := gopherdiscovery.Options{
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{serverCertificate},
			ClientAuth:   tls.RequireAndVerifyClientCert,
			ClientCAs:    authorities,
		},
		Authorize: func(service string, from gopherdiscovery.Conn) error {
			u, err := url.Parse(service)
			if err != nil {
				return err
			}
			return from.TLS.PeerCertificates[0].VerifyHostname(u.Hostname())
		},
	}
	server, err := gopherdiscovery.Server("tls+tcp://127.0.0.1:0", "tls+tcp://127.0.0.1:0", opt)
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	urlServer, urlPubSub := server.URLs()

	dialer := &gopherdiscovery.Dialer{TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{clientCertificate},
		RootCAs:      authorities,
	}}
	client, err := dialer.ClientWithSub(context.Background(), urlServer, urlPubSub, "https://10.0.0.2:8443")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	peers, err := client.Peers()
	if err != nil {
		log.Fatal(err)
	}
	for list := range peers {
		if len(list) > 0 {
			fmt.Println(list)
			break
		}
	}
	// Output: [https://10.0.0.2:8443]
}

// newCertificate returns a certificate for an address that the authority has
// signed, or an authority if it is given none.
func newCertificate(authority *tls.Certificate, ip net.IP) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		log.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "example"},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses:  []net.IP{ip},
	}
	parent, signer := template, key
	if authority == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage, template.ExtKeyUsage, template.IPAddresses = x509.KeyUsageCertSign, nil, nil
	} else {
		parent, signer = authority.Leaf, authority.PrivateKey.(*ecdsa.PrivateKey)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		log.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		log.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
