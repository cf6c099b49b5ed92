package doctor

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/videoactivmail/vam/internal/discovery"
)

// checkCertFile reads the certificate that the server would show for a domain.
func (e Env) checkCertFile(d LocalDomain) []Finding {
	if d.CertFile == "" {
		return nil
	}
	subject := d.Name.String()
	expected := fmt.Sprintf("a certificate for %s, or for %s with DNSSEC or a policy", d.Name, d.Hostname)
	pair, err := tls.LoadX509KeyPair(d.CertFile, d.KeyFile)
	if err != nil {
		return []Finding{finding("cert.file", subject, Fail, expected, err.Error(),
			"put the PEM files of a certificate there, or set tls.cert and tls.key; certbot and acme.sh make them")}
	}
	cert := pair.Leaf
	now := e.now()
	found := discovery.DescribeCert(cert)
	switch {
	case now.After(cert.NotAfter) || now.Before(cert.NotBefore):
		return []Finding{finding("cert.file", subject, Fail, expected, found+": not valid now", "renew the certificate; a changed file is taken up without a restart")}
	case !names(cert, d):
		return []Finding{finding("cert.file", subject, Fail, expected, found, fmt.Sprintf("get a certificate whose names include %s", d.Name))}
	case cert.NotAfter.Sub(now) < expiryWarning:
		return []Finding{finding("cert.file", subject, Warn, expected, found, "renew the certificate; a changed file is taken up without a restart")}
	}
	if open := readableByOthers(d.KeyFile); open {
		return []Finding{finding("cert.file", subject, Warn, expected, found+"; its key can be read by other users", "chmod 0600 "+d.KeyFile)}
	}
	return []Finding{finding("cert.file", subject, OK, expected, found, "")}
}

// names reports whether cert can serve d under any identity rule.
func names(cert *x509.Certificate, d LocalDomain) bool {
	return cert.VerifyHostname(d.Name.String()) == nil || cert.VerifyHostname(d.Hostname) == nil ||
		slices.ContainsFunc(discovery.SRVIDs(cert), func(id string) bool { return strings.EqualFold(id, discovery.SRVID(d.Name)) })
}

func readableByOthers(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Perm()&0o007 != 0
}
