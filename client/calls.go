package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/watchword-auth/watchword"
)

const (
	challengesPath    = "/v1/challenges"
	verificationsPath = "/v1/verifications"
	factorsPath       = "/v1/factors"

	longestServerWait = 25 * time.Second // that one request waits at the server
	readInterval      = time.Second      // between two requests, at least: a server with too many that wait responds at once
)

// post sends a body and returns the response.
func post[T any](ctx context.Context, c *Client, path string, body any, options []Option) (*T, error) {
	out := new(T)
	if err := c.send(ctx, request{method: http.MethodPost, path: path, body: body}, out, options...); err != nil {
		return nil, err
	}
	return out, nil
}

func get[T any](ctx context.Context, c *Client, path string) (*T, error) {
	out := new(T)
	if err := c.send(ctx, request{method: http.MethodGet, path: path}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// waitFor reads path until its status is no longer pending or the context ends.
func waitFor[T any](ctx context.Context, c *Client, path string, status func(*T) watchword.Status) (*T, error) {
	for {
		next := time.Now().Add(readInterval)
		out := new(T)
		r := request{method: http.MethodGet, path: path + "?wait=" + strconv.Itoa(int(longestServerWait.Seconds())), wait: longestServerWait}
		if err := c.send(ctx, r, out); err != nil {
			return nil, err
		}
		if status(out) != watchword.Pending {
			return out, nil
		}
		if err := pause(ctx, time.Until(next)); err != nil {
			return nil, fmt.Errorf("client: %s %s: %w", r.method, path, err)
		}
	}
}

// below returns the path of a resource and of a step of it. Whatever an id holds stays one segment.
func below(path, id, step string) string {
	out := path + "/" + url.PathEscape(id)
	if step != "" {
		out += "/" + step
	}
	return out
}

// StartVerification starts a verification, which any of several methods may answer.
func (c *Client) StartVerification(ctx context.Context, r VerificationRequest, options ...Option) (*StartedVerification, error) {
	return post[StartedVerification](ctx, c, verificationsPath, r, options)
}

// GetVerification reads a verification.
func (c *Client) GetVerification(ctx context.Context, id string) (*VerificationStatus, error) {
	return get[VerificationStatus](ctx, c, below(verificationsPath, id, ""))
}

// WaitVerification reads a verification when it is no longer pending. It waits as long as the context allows.
func (c *Client) WaitVerification(ctx context.Context, id string) (*VerificationStatus, error) {
	return waitFor(ctx, c, below(verificationsPath, id, ""), func(v *VerificationStatus) watchword.Status { return v.Status })
}

// OpenMethod opens a method of a verification: it starts the method's challenge and sends its message. A method that is open already
// is returned as it is.
func (c *Client) OpenMethod(ctx context.Context, id, method string, options ...Option) (*OpenedVerification, error) {
	return post[OpenedVerification](ctx, c, below(verificationsPath, id, "open"), map[string]string{"method": method}, options)
}

// CheckVerification checks an answer. Without an error the person is verified.
func (c *Client) CheckVerification(ctx context.Context, id string, r CheckRequest, options ...Option) (*Approval, error) {
	return post[Approval](ctx, c, below(verificationsPath, id, "check"), r, options)
}

// RedeemVerification collects the receipt of a verification that was answered on a page or by a link.
func (c *Client) RedeemVerification(ctx context.Context, id string, r RedeemRequest, options ...Option) (*Approval, error) {
	return post[Approval](ctx, c, below(verificationsPath, id, "redeem"), r, options)
}

// ResendVerification sends the message of a method again. Without a method it is the one that was opened last.
func (c *Client) ResendVerification(ctx context.Context, id, method string, options ...Option) (*VerificationStatus, error) {
	return post[VerificationStatus](ctx, c, below(verificationsPath, id, "resend"), omitEmpty("method", method), options)
}

// CancelVerification ends a verification and its challenges.
func (c *Client) CancelVerification(ctx context.Context, id string, options ...Option) (*VerificationStatus, error) {
	return post[VerificationStatus](ctx, c, below(verificationsPath, id, "cancel"), struct{}{}, options)
}

// StartChallenge starts a challenge.
func (c *Client) StartChallenge(ctx context.Context, r StartRequest, options ...Option) (*StartedChallenge, error) {
	return post[StartedChallenge](ctx, c, challengesPath, r, options)
}

// GetChallenge reads a challenge.
func (c *Client) GetChallenge(ctx context.Context, id string) (*Challenge, error) {
	return get[Challenge](ctx, c, below(challengesPath, id, ""))
}

// WaitChallenge reads a challenge when it is no longer pending. It waits as long as the context allows.
func (c *Client) WaitChallenge(ctx context.Context, id string) (*Challenge, error) {
	return waitFor(ctx, c, below(challengesPath, id, ""), func(v *Challenge) watchword.Status { return v.Status })
}

// CheckChallenge checks an answer. Without an error the person is verified, or the factor is enrolled.
func (c *Client) CheckChallenge(ctx context.Context, id string, r CheckRequest, options ...Option) (*Approval, error) {
	return post[Approval](ctx, c, below(challengesPath, id, "check"), r, options)
}

// RedeemChallenge collects the receipt of a challenge that was answered on a page or by a link.
func (c *Client) RedeemChallenge(ctx context.Context, id string, r RedeemRequest, options ...Option) (*Approval, error) {
	return post[Approval](ctx, c, below(challengesPath, id, "redeem"), r, options)
}

// ResendChallenge sends the message again, by another channel if one is given.
func (c *Client) ResendChallenge(ctx context.Context, id, channel string, options ...Option) (*Challenge, error) {
	return post[Challenge](ctx, c, below(challengesPath, id, "resend"), omitEmpty("channel", channel), options)
}

// CancelChallenge ends a challenge.
func (c *Client) CancelChallenge(ctx context.Context, id string, options ...Option) (*Challenge, error) {
	return post[Challenge](ctx, c, below(challengesPath, id, "cancel"), struct{}{}, options)
}

// RedeemReceipt uses up a receipt of a purpose and returns its claims, once. Compare subject, nonce and transaction yourself.
func (c *Client) RedeemReceipt(ctx context.Context, receipt, purpose string, options ...Option) (*watchword.Claims, error) {
	return post[watchword.Claims](ctx, c, "/v1/receipts/redeem", map[string]string{"receipt": receipt, "purpose": purpose}, options)
}

// ListFactors returns the factors of a subject, oldest first.
func (c *Client) ListFactors(ctx context.Context, subject string) ([]Factor, error) {
	type list struct {
		Factors []Factor `json:"factors"`
	}
	out, err := get[list](ctx, c, factorsPath+"?subject="+url.QueryEscape(subject))
	if err != nil {
		return nil, err
	}
	return out.Factors, nil
}

// GetFactor reads a factor.
func (c *Client) GetFactor(ctx context.Context, id string) (*Factor, error) {
	return get[Factor](ctx, c, below(factorsPath, id, ""))
}

// RenameFactor changes the label of a factor. It needs an Authorization, unless the API key has the scope factors:admin.
func (c *Client) RenameFactor(ctx context.Context, id, label string, options ...Option) (*Factor, error) {
	out := new(Factor)
	err := c.send(ctx, request{method: http.MethodPatch, path: below(factorsPath, id, ""), body: map[string]string{"label": label}}, out, options...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// RemoveFactor removes a factor. It needs an Authorization, unless the API key has the scope factors:admin.
func (c *Client) RemoveFactor(ctx context.Context, id string, options ...Option) error {
	return c.send(ctx, request{method: http.MethodDelete, path: below(factorsPath, id, "")}, nil, options...)
}

// RemoveSubject removes every factor of a subject, and the open challenges that need one. It needs an Authorization, unless the API
// key has the scope factors:admin.
func (c *Client) RemoveSubject(ctx context.Context, subject string, options ...Option) error {
	return c.send(ctx, request{method: http.MethodDelete, path: below("/v1/subjects", subject, "")}, nil, options...)
}

func omitEmpty(name, value string) map[string]string {
	if value == "" {
		return map[string]string{}
	}
	return map[string]string{name: value}
}
