package kubernetes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// unreached says why no answer of an API server came.
func (c *Client) unreached(err error) string {
	at := c.cluster()
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err // the address is named, and the path says nothing to a user
	}
	var op *net.OpError
	var dns *net.DNSError
	var timeout net.Error
	switch text := c.untrusted(err); {
	case text != "":
		return text
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return fmt.Sprintf("the proxy before %s cannot be reached (%v): look at HTTPS_PROXY, NO_PROXY and the kubeconfig's proxy-url", at, err)
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("%s cannot be reached: there is no host %q: is this the cluster that you mean (--context)?", at, dns.Name)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.As(err, &dns):
		return fmt.Sprintf("%s cannot be reached (%v): is it up, and is this the one that you mean (--context)?", at, err)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("%s has not answered in time (%v): is it up, and is this the one that you mean (--context)?", at, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), strings.Contains(err.Error(), "server closed idle connection"):
		return fmt.Sprintf("%s has closed the connection without an answer (%v): is it a Kubernetes API server, and up?", at, err)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Sprintf("%s speaks plain HTTP: is this the port of a Kubernetes API server? Those speak TLS", at)
	case strings.Contains(err.Error(), "malformed HTTP"), strings.Contains(err.Error(), "readLoopPeekFail"):
		// The second is net/http's of a server that speaks before it is asked.
		return fmt.Sprintf("%s is no Kubernetes API server: it does not speak HTTP: look at the server that the kubeconfig names", at)
	case strings.Contains(err.Error(), "serializer for") || strings.Contains(err.Error(), "couldn't get version/kind") || strings.Contains(err.Error(), "'Kind' is missing"):
		// apimachinery has no types for what it cannot decode.
		return fmt.Sprintf("%s is no Kubernetes API server: what it answers is not of the form that those have: look at the server that the kubeconfig names", at)
	}
	return fmt.Sprintf("%s: %v", at, err)
}

// untrusted says why the two did not trust each other; empty: that was not it.
func (c *Client) untrusted(err error) string {
	at := c.cluster()
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		by := ""
		if unknown.Cert != nil {
			by = fmt.Sprintf(" (it is by %q)", unknown.Cert.Issuer)
		}
		return fmt.Sprintf("the certificate of %s is signed by no authority that the kubeconfig knows%s: take the cluster's kubeconfig anew, or ask who is between you and it", at, by)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		when := "expired on " + day(invalid.Cert.NotAfter)
		if now := time.Now(); now.Before(invalid.Cert.NotBefore) {
			when = "is valid only from " + day(invalid.Cert.NotBefore) + " on"
		}
		return fmt.Sprintf("the certificate of %s %s: have it renewed, or set this machine's clock, where it is %s", at, when, day(time.Now()))
	case errors.As(err, &name):
		return fmt.Sprintf("the certificate of %s is not for %q but for %s: write one of those into the kubeconfig's server, or as its tls-server-name", at, name.Host, namesOf(name.Certificate))
	case errors.As(err, &record) && !errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Sprintf("%s does not speak TLS: is this the port of a Kubernetes API server?", at)
	case strings.Contains(err.Error(), "remote error: tls:"): // an alert (RFC 8446, section 6), which has no type
		return fmt.Sprintf("%s refuses our side of TLS (%v): %s", at, err, c.loginHint())
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return fmt.Sprintf("the certificate of %s is not to be trusted: %v: take the cluster's kubeconfig anew", at, err)
	}
	return ""
}

// namesOf are the hosts that a certificate is for.
func namesOf(cert *x509.Certificate) string {
	if cert == nil {
		return "none"
	}
	names := append([]string{}, cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "none"
	}
	return few(names, 6)
}
