package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/watchword-auth/watchword"
)

// authorizationHeader carries the receipt that authorizes a change of factors, for requests without a body.
const authorizationHeader = "Watchword-Authorization"

// factorOperations returns the operations of factors.
func factorOperations() []operation {
	const one = "/v1/factors/{id}"
	text := &huma.Schema{Type: huma.TypeString}
	subject := parameter{in: inQuery, name: "subject", required: true, schema: text, description: "The subject whose factors are listed."}
	proof := parameter{in: inHeader, name: authorizationHeader, schema: text,
		description: "A receipt of purpose manage_factors for the same subject, at most five minutes old. A key with the scope factors:admin needs none."}
	unknown := []string{"unknown_factor"}
	changing := append(unknown, "proof_required")
	return []operation{
		newReadOperation(operation{method: http.MethodGet, path: "/v1/factors", id: "listFactors", summary: "List a subject's factors",
			scope: ScopeFactors, status: http.StatusOK, parameters: []parameter{subject}}, listFactors),
		newReadOperation(operation{method: http.MethodGet, path: one, id: "readFactor", summary: "Read a factor",
			scope: ScopeFactors, status: http.StatusOK, problems: unknown}, readFactor),
		newBodyOperation(operation{method: http.MethodPatch, path: one, id: "renameFactor", summary: "Change a factor's label",
			scope: ScopeFactors, status: http.StatusOK, parameters: []parameter{proof}, problems: changing}, renameFactor),
		newDeleteOperation(operation{method: http.MethodDelete, path: one, id: "removeFactor", summary: "Remove a factor",
			scope: ScopeFactors, parameters: []parameter{proof}, problems: changing}, removeFactor),
		newDeleteOperation(operation{method: http.MethodDelete, path: "/v1/subjects/{subject}", id: "removeSubject",
			summary: "Remove all factors of a subject", scope: ScopeFactors, parameters: []parameter{proof},
			problems: []string{"proof_required"}}, removeSubject),
	}
}

func listFactors(ctx context.Context, c *call) (*factorList, error) {
	subject := c.query["subject"]
	if subject == "" {
		return nil, invalidField("subject", "is required")
	}
	factors, err := c.engine.ListFactors(ctx, subject)
	out := &factorList{Factors: make([]*factorView, len(factors))}
	for n := range factors {
		out.Factors[n] = newFactorView(&factors[n])
	}
	return out, err
}

func readFactor(ctx context.Context, c *call) (*factorView, error) {
	f, err := c.engine.GetFactor(ctx, c.request.PathValue("id"))
	return newFactorView(&f), err
}

func renameFactor(ctx context.Context, c *call, in *renameRequest) (*factorView, error) {
	authority, err := c.parseHeaderAuthority(ctx)
	if err != nil {
		return nil, err
	}
	f, err := c.engine.RenameFactor(ctx, c.request.PathValue("id"), in.Label, authority)
	return newFactorView(&f), err
}

func removeFactor(ctx context.Context, c *call) error {
	authority, err := c.parseHeaderAuthority(ctx)
	if err != nil {
		return err
	}
	return c.engine.RemoveFactor(ctx, c.request.PathValue("id"), authority)
}

func removeSubject(ctx context.Context, c *call) error {
	authority, err := c.parseHeaderAuthority(ctx)
	if err != nil {
		return err
	}
	return c.engine.RemoveSubject(ctx, c.request.PathValue("subject"), authority)
}

// parseEnrolmentAuthority returns the authority of a start. The field authorization is allowed for enrolment only.
func (c *call) parseEnrolmentAuthority(ctx context.Context, in *startRequest) (watchword.Authority, error) {
	if in.Authorization != "" && in.Purpose != watchword.PurposeEnrol {
		return watchword.Authority{}, invalidField("authorization", "is allowed for the purpose enrol only")
	}
	return c.parseAuthority(ctx, in.Authorization)
}

func (c *call) parseHeaderAuthority(ctx context.Context) (watchword.Authority, error) {
	values := c.request.Header[authorizationHeader]
	if len(values) > 1 {
		return watchword.Authority{}, invalidField(authorizationHeader, "appears more than once")
	}
	if len(values) == 0 {
		return c.parseAuthority(ctx, "")
	}
	return c.parseAuthority(ctx, values[0])
}

// parseAuthority returns the authority of a receipt or, without one, that of the API key. A receipt that was sent must be
// valid, even if the key has the scope factors:admin. The engine decides whether its claims suffice.
func (c *call) parseAuthority(ctx context.Context, receipt string) (watchword.Authority, error) {
	if receipt == "" {
		return watchword.Authority{Admin: c.admin}, nil
	}
	claims, err := c.signer.Parse(ctx, receipt)
	switch {
	case errors.Is(err, watchword.ErrReceiptInvalid):
		return watchword.Authority{}, watchword.ErrProofRequired
	case err != nil:
		return watchword.Authority{}, err
	}
	return watchword.Authority{Claims: &claims, Seed: c.seed}, nil
}
