package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/watchword-auth/watchword"
)

// authorizationHeader carries the proof of who changes factors, where there is no body for it.
const authorizationHeader = "Watchword-Authorization"

// factorOperations are those of what subjects have enrolled.
func factorOperations() []operation {
	const one = "/v1/factors/{id}"
	text := &huma.Schema{Type: huma.TypeString}
	subject := parameter{in: inQuery, name: "subject", required: true, schema: text, description: "Whose factors."}
	proof := parameter{in: inHeader, name: authorizationHeader, schema: text,
		description: "A receipt of purpose manage_factors for the same subject, at most five minutes old; a key with the scope factors:admin does without."}
	unknown := []string{"unknown_factor"}
	changing := append(unknown, "proof_required")
	return []operation{
		reading(operation{method: http.MethodGet, path: "/v1/factors", id: "listFactors", summary: "List what a subject has enrolled",
			scope: ScopeFactors, status: http.StatusOK, parameters: []parameter{subject}}, listFactors),
		reading(operation{method: http.MethodGet, path: one, id: "readFactor", summary: "Read a factor",
			scope: ScopeFactors, status: http.StatusOK, problems: unknown}, readFactor),
		taking(operation{method: http.MethodPatch, path: one, id: "renameFactor", summary: "Change a factor's label",
			scope: ScopeFactors, status: http.StatusOK, parameters: []parameter{proof}, problems: changing}, renameFactor),
		doing(operation{method: http.MethodDelete, path: one, id: "removeFactor", summary: "Remove a factor",
			scope: ScopeFactors, parameters: []parameter{proof}, problems: changing}, removeFactor),
		doing(operation{method: http.MethodDelete, path: "/v1/subjects/{subject}", id: "removeSubject",
			summary: "Remove everything that a subject has enrolled", scope: ScopeFactors, parameters: []parameter{proof},
			problems: []string{"proof_required"}}, removeSubject),
	}
}

func listFactors(ctx context.Context, c *call) (*factorList, error) {
	subject := c.query["subject"]
	if subject == "" {
		return nil, invalid("subject", "is required")
	}
	factors, err := c.engine.ListFactors(ctx, subject)
	out := &factorList{Factors: make([]*factorView, len(factors))}
	for n := range factors {
		out.Factors[n] = viewFactor(&factors[n])
	}
	return out, err
}

func readFactor(ctx context.Context, c *call) (*factorView, error) {
	f, err := c.engine.GetFactor(ctx, c.request.PathValue("id"))
	return viewFactor(&f), err
}

func renameFactor(ctx context.Context, c *call, in *renameRequest) (*factorView, error) {
	authority, err := c.headerAuthority(ctx)
	if err != nil {
		return nil, err
	}
	f, err := c.engine.RenameFactor(ctx, c.request.PathValue("id"), in.Label, authority)
	return viewFactor(&f), err
}

func removeFactor(ctx context.Context, c *call) error {
	authority, err := c.headerAuthority(ctx)
	if err != nil {
		return err
	}
	return c.engine.RemoveFactor(ctx, c.request.PathValue("id"), authority)
}

func removeSubject(ctx context.Context, c *call) error {
	authority, err := c.headerAuthority(ctx)
	if err != nil {
		return err
	}
	return c.engine.RemoveSubject(ctx, c.request.PathValue("subject"), authority)
}

// enrolmentAuthority is what a start brings along; it serves enrolling only.
func (c *call) enrolmentAuthority(ctx context.Context, in *startRequest) (watchword.Authority, error) {
	if in.Authorization != "" && in.Purpose != watchword.PurposeEnrol {
		return watchword.Authority{}, invalid("authorization", "is for enrolling only")
	}
	return c.authority(ctx, in.Authorization)
}

func (c *call) headerAuthority(ctx context.Context) (watchword.Authority, error) {
	values := c.request.Header[authorizationHeader]
	if len(values) > 1 {
		return watchword.Authority{}, invalid(authorizationHeader, "is there twice")
	}
	if len(values) == 0 {
		return c.authority(ctx, "")
	}
	return c.authority(ctx, values[0])
}

// authority is a receipt's if there is one: whoever shows a proof wants it to count, also with a key that would do
// without. One that is not valid proves nothing; what it is worth the engine says.
func (c *call) authority(ctx context.Context, receipt string) (watchword.Authority, error) {
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
