package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
)

// A Failure is a reason in this project's own words, for logs and errors. It is made of constants only: the errors of
// net/http, crypto/tls and others quote what a peer sent, and a peer may send back the request, code and address
// included. A text from elsewhere becomes a Failure only by a conversion that a reader sees.
type Failure string

// Why an exchange with a peer failed.
const (
	Canceled                Failure = "canceled"
	TimedOut                Failure = "time-out"
	HostNotFound            Failure = "host name not found"
	NameNotResolved         Failure = "host name cannot be resolved"
	ConnectionRefused       Failure = "connection refused"
	ConnectionClosed        Failure = "connection closed by the peer"
	Unreachable             Failure = "host or network unreachable"
	TooManyFiles            Failure = "too many open files on this machine"
	CertificateNotTrusted   Failure = "TLS certificate not trusted"
	CertificateHostMismatch Failure = "TLS certificate is not for this host"
	CertificateExpired      Failure = "TLS certificate has expired or is not valid yet"
	HandshakeFailed         Failure = "TLS handshake failed"
	NotTLS                  Failure = "peer does not speak TLS"
	InvalidHTTPAnswer       Failure = "no valid HTTP answer"
	ExchangeFailed          Failure = "exchange with the peer failed"
)

// Error is the text.
func (f Failure) Error() string { return string(f) }

// Reason is the text too: it may be shown to anybody (watchword.Pinger).
func (f Failure) Reason() string { return string(f) }

// Is keeps the two ends of a context recognisable.
func (f Failure) Is(target error) bool {
	return f == Canceled && target == context.Canceled || f == TimedOut && target == context.DeadlineExceeded
}

// Reason says why an exchange failed without repeating anything of it: what err says of itself is left out, its kind is
// kept. An error of this package stays as it is, without what was wrapped around it; nil stays nil.
func Reason(err error) error { return reason(err, ExchangeFailed) }

// reason is Reason, with what to call an error of no known kind.
func reason(err error, unknown Failure) error {
	var own Failure
	var refused *refusedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &own):
		return own
	case errors.Is(err, ErrTooLarge):
		return ErrTooLarge
	case errors.Is(err, context.Canceled):
		return Canceled
	case isTimeout(err):
		return TimedOut
	}
	for _, kind := range []func(error) Failure{nameFailure, connectionFailure, certificateFailure, handshakeFailure} {
		if f := kind(err); f != "" {
			return f
		}
	}
	return unknown
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

func nameFailure(err error) Failure {
	var dns *net.DNSError
	switch {
	case !errors.As(err, &dns):
		return ""
	case dns.IsNotFound:
		return HostNotFound
	}
	return NameNotResolved
}

func connectionFailure(err error) Failure {
	for _, known := range []struct {
		err error
		is  Failure
	}{
		{syscall.ECONNREFUSED, ConnectionRefused}, {syscall.ECONNRESET, ConnectionClosed}, {syscall.EPIPE, ConnectionClosed}, {syscall.ECONNABORTED, ConnectionClosed},
		{io.EOF, ConnectionClosed}, {io.ErrUnexpectedEOF, ConnectionClosed}, {net.ErrClosed, ConnectionClosed},
		{syscall.ENETUNREACH, Unreachable}, {syscall.EHOSTUNREACH, Unreachable}, {syscall.EMFILE, TooManyFiles}, {syscall.ENFILE, TooManyFiles},
	} {
		if errors.Is(err, known.err) {
			return known.is
		}
	}
	return ""
}

// certificateFailure looks at types alone: the texts repeat the names that the peer's certificate holds.
func certificateFailure(err error) Failure {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verification *tls.CertificateVerificationError
	switch {
	case errors.As(err, &host):
		return CertificateHostMismatch
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return CertificateExpired
	case errors.As(err, &unknown), errors.As(err, &invalid), errors.As(err, &verification):
		return CertificateNotTrusted
	}
	return ""
}

func handshakeFailure(err error) Failure {
	var alert tls.AlertError
	var header tls.RecordHeaderError
	switch {
	case errors.As(err, &header), errors.Is(err, http.ErrSchemeMismatch):
		return NotTLS
	case errors.As(err, &alert), isTLSError(err):
		return HandshakeFailed
	}
	return ""
}

// isTLSError recognises crypto/tls' errors, most of which have no type of their own.
func isTLSError(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if strings.HasPrefix(err.Error(), "tls: ") {
			return true
		}
	}
	return false
}
