package oci

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// errPlain is the answer to a request that would go over the wire in the clear.
var errPlain = errors.New("plain HTTP is not allowed")

// guard lets no request pass without TLS unless that is asked for, and keeps the
// cause of the first that failed, which the library turns into text.
type guard struct {
	next        http.RoundTripper
	allowsPlain bool

	mu    sync.Mutex
	first error
}

func newGuard(noTLSVerify bool) *guard {
	next := remote.DefaultTransport.(*http.Transport).Clone()
	if noTLSVerify {
		next.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	}
	return &guard{next: next, allowsPlain: noTLSVerify}
}

func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "http" && !g.allowsPlain {
		return nil, errPlain
	}
	resp, err := g.next.RoundTrip(r)
	if err != nil && !errors.Is(err, context.Canceled) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.first == nil {
			g.first = err
		}
	}
	return resp, err
}

// explain says what went wrong in a push and what can be done.
func (p *push) explain(err error) error {
	host := p.tag.RegistryStr()
	fail := func(format string, args ...any) error {
		return fmt.Errorf("push to %s: "+format, append([]any{p.tag}, args...)...)
	}
	if refusal, ok := errors.AsType[*transport.Error](err); ok {
		if refusesUs(refusal) {
			return fail("%s refuses: %w; %s", host, err, p.login.advice(host))
		}
		return fail("%w", err)
	}
	cause := errors.Join(p.guard.first, err)
	var unknown *net.DNSError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.Canceled):
		return fail("%w", err)
	case errors.As(cause, &unknown) && unknown.IsNotFound:
		return fail("there is no host %s", unknown.Name)
	case errors.As(cause, &untrusted):
		return fail("the certificate of %s is not to be trusted: %w; name the issuing authority's file in SSL_CERT_FILE, or allow any with --no-tls-verify", host, untrusted.Err)
	case errors.Is(cause, http.ErrSchemeMismatch):
		return fail("%s speaks plain HTTP, which is allowed only with --no-tls-verify", host)
	case errors.Is(cause, errPlain):
		return fail("%s leads to a place that speaks plain HTTP, which is allowed only with --no-tls-verify: %w", host, err)
	case errors.Is(cause, syscall.ECONNREFUSED):
		return fail("nothing answers at %s: %w", host, syscall.ECONNREFUSED)
	}
	return fail("%w", err)
}

func refusesUs(e *transport.Error) bool {
	return e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden ||
		slices.ContainsFunc(e.Errors, func(d transport.Diagnostic) bool {
			return d.Code == transport.UnauthorizedErrorCode || d.Code == transport.DeniedErrorCode
		})
}

// advice says which credentials were used, never what they are.
func (l login) advice(host string) string {
	switch {
	case l.key != "":
		return fmt.Sprintf("the credentials are those for %s in %s; they may be wrong, or lack the right to push", l.key, l.file)
	case l.file != "":
		return fmt.Sprintf("%s has no credentials for %s; podman login %s writes some", l.file, host, host)
	}
	return fmt.Sprintf("there are no credentials; give --authfile, or run podman login %s", host)
}
