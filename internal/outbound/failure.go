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

// A Failure is the reason of an error, for logs. Its text is always a constant, because errors of net/http, crypto/tls and other
// packages quote data of the peer, and a peer may send back the request with its code and address.
type Failure string

// Reasons why an exchange with a peer failed.
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

// Error returns the text.
func (f Failure) Error() string { return string(f) }

// Reason returns the text, which may be shown to anybody (see watchword.Pinger).
func (f Failure) Reason() string { return string(f) }

// Is makes Canceled match context.Canceled, and TimedOut match context.DeadlineExceeded.
func (f Failure) Is(target error) bool {
	return f == Canceled && target == context.Canceled || f == TimedOut && target == context.DeadlineExceeded
}

// Reason returns the kind of an error, without its text. An error of this package is returned as it is, without the errors that wrap
// it. Reason returns nil for nil.
func Reason(err error) error { return reason(err, ExchangeFailed) }

// reason is Reason with the result for an error of no known kind.
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

// certificateFailure uses only the types of errors, because their texts quote names in the peer's certificate.
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

// isTLSError reports whether an error comes from crypto/tls. Most of its errors can be recognized by their prefix only.
func isTLSError(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if strings.HasPrefix(err.Error(), "tls: ") {
			return true
		}
	}
	return false
}
