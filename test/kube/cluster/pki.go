package cluster

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// validity of the certificates: each cluster has new ones.
const validity = 7 * 24 * time.Hour

// authority signs the cluster's certificates.
type authority struct {
	layout
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
}

// Certificates by the names of their files, without ".crt" and ".key".
const (
	certCA      = "ca"
	certServer  = "apiserver"
	certKubelet = "kubelet"
	certClient  = "apiserver-kubelet-client"
	certSigner  = "service-accounts"
)

// writePKI makes keys and certificates, and a kubeconfig for each daemon that
// speaks to the API server and for the administrator. Users' and groups' names
// are those that Kubernetes' own roles are bound to.
func writePKI(l layout) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	ca := &authority{layout: l, key: key}
	if err := ca.issue(certCA, &x509.Certificate{
		Subject: pkix.Name{CommonName: "chiron-test-cluster"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}); err != nil {
		return err
	}
	for name, hosts := range map[string][]string{
		certServer: {
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + domain,
			"localhost", "127.0.0.1", nodeAddress, apiService,
		},
		certKubelet: {NodeName, nodeAddress},
	} {
		template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
		for _, h := range hosts {
			if ip := net.ParseIP(h); ip != nil {
				template.IPAddresses = append(template.IPAddresses, ip)
			} else {
				template.DNSNames = append(template.DNSNames, h)
			}
		}
		if err := ca.issue(name, template); err != nil {
			return err
		}
	}
	const masters = "system:masters"
	if err := ca.issue(certClient, clientOf("kube-apiserver-kubelet-client", masters)); err != nil {
		return err
	}
	if err := ca.issue(certSigner, clientOf(certSigner, "")); err != nil { // its key signs tokens
		return err
	}
	for file, user := range map[string]*x509.Certificate{
		l.kubeconfig():                clientOf("admin", masters),
		l.configOf(kubelet):           clientOf("system:node:"+NodeName, "system:nodes"),
		l.configOf(controllerManager): clientOf("system:kube-controller-manager", ""),
		l.configOf(scheduler):         clientOf("system:kube-scheduler", ""),
		l.configOf(proxy):             clientOf("system:kube-proxy", ""),
		l.configOf(dns):               clientOf("coredns", masters),
	} {
		if err := ca.writeKubeconfig(file, user); err != nil {
			return err
		}
	}
	return nil
}

func clientOf(user, group string) *x509.Certificate {
	c := &x509.Certificate{Subject: pkix.Name{CommonName: user}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if group != "" {
		c.Subject.Organization = []string{group}
	}
	return c
}

// issue signs a certificate for a new key and writes both.
func (a *authority) issue(name string, template *x509.Certificate) error {
	certPEM, keyPEM, err := a.sign(template)
	if err != nil {
		return err
	}
	return writeSecrets(map[string][]byte{a.pki(name + ".crt"): certPEM, a.pki(name + ".key"): keyPEM})
}

// sign makes a certificate and its key, as PEM. The first is the authority's own.
func (a *authority) sign(template *x509.Certificate) (certPEM, keyPEM []byte, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("cluster: make the certificate of %s: %w", template.Subject.CommonName, err)
		}
	}()
	key, parent := a.key, a.cert
	if parent == nil {
		parent = template
	} else if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, nil, err
	}
	// Random, as RFC 5280 wants them unique for an authority: at most 20 octets.
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, nil, err
	}
	// An hour ago: clocks in virtual machines jump when these wake up.
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(validity)
	if !template.IsCA {
		template.KeyUsage = x509.KeyUsageDigitalSignature
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	if a.cert == nil {
		a.pem = certPEM
		a.cert, err = x509.ParseCertificate(der)
	}
	return certPEM, keyPEM, err
}

// writeSecrets writes files that only their owner may read.
func writeSecrets(files map[string][]byte) error {
	var errs []error
	for file, data := range files {
		errs = append(errs, os.WriteFile(file, data, 0o600))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}

// writeKubeconfig writes a user's way to the API server. JSON is YAML too.
func (a *authority) writeKubeconfig(file string, user *x509.Certificate) error {
	certPEM, keyPEM, err := a.sign(user)
	if err != nil {
		return err
	}
	const name = "chiron-test"
	data, err := json.MarshalIndent(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": name,
		"clusters": []any{map[string]any{"name": name, "cluster": map[string]any{
			"server": apiServer, "certificate-authority-data": a.pem,
		}}},
		"users": []any{map[string]any{"name": user.Subject.CommonName, "user": map[string]any{
			"client-certificate-data": certPEM, "client-key-data": keyPEM,
		}}},
		"contexts": []any{map[string]any{"name": name, "context": map[string]any{
			"cluster": name, "user": user.Subject.CommonName,
		}}},
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return writeSecrets(map[string][]byte{file: append(data, '\n')})
}
