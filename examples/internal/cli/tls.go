package cli

import (
	"crypto/tls"
	"crypto/x509"
	"os"
)

// tlsFiles are the files that the -tls flags name.
type tlsFiles struct{ cert, key, ca string }

// ServerTLS returns the configuration of a server, nil without -tls-cert. With -tls-ca each client must show a certificate
// that one of these authorities has signed.
func (f *Flags) ServerTLS() (*tls.Config, error) {
	config, err := f.certificates()
	switch {
	case err != nil:
		return nil, err
	case f.tls.cert == "" && f.tls.ca != "":
		return nil, Usagef("-tls-ca %s needs -tls-cert and -tls-key", f.tls.ca)
	case f.tls.cert == "":
		return nil, nil
	}
	if f.tls.ca != "" {
		config.ClientAuth = tls.RequireAndVerifyClientCert
		if config.ClientCAs, err = f.authorities(); err != nil {
			return nil, err
		}
	}
	return config, nil
}

// ClientTLS returns the configuration of a client, for URLs that need one. Without -tls-ca it trusts whom the system trusts.
func (f *Flags) ClientTLS() (*tls.Config, error) {
	config, err := f.certificates()
	if err != nil {
		return nil, err
	}
	if f.tls.ca != "" {
		if config.RootCAs, err = f.authorities(); err != nil {
			return nil, err
		}
	}
	return config, nil
}

func (f *Flags) certificates() (*tls.Config, error) {
	config := new(tls.Config)
	switch {
	case f.tls.cert == "" && f.tls.key == "":
		return config, nil
	case f.tls.key == "":
		return nil, Usagef("-tls-cert %s needs -tls-key", f.tls.cert)
	case f.tls.cert == "":
		return nil, Usagef("-tls-key %s needs -tls-cert", f.tls.key)
	}
	pair, err := tls.LoadX509KeyPair(f.tls.cert, f.tls.key)
	if err != nil {
		return nil, Usagef("-tls-cert %s, -tls-key %s: %v", f.tls.cert, f.tls.key, err)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

func (f *Flags) authorities() (*x509.CertPool, error) {
	pem, err := os.ReadFile(f.tls.ca)
	if err != nil {
		return nil, Usagef("-tls-ca: %v", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, Usagef("-tls-ca %s: no certificate in it", f.tls.ca)
	}
	return pool, nil
}
