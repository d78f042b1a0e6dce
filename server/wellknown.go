package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
)

// operations returns all operations of the API.
func (s *Server) operations() []operation {
	return append(slices.Concat(challengeOperations(), verificationOperations(), factorOperations()),
		newReadOperation(operation{method: http.MethodGet, path: keySetPath, id: "keySet", summary: "Read the public keys of receipts",
			status: http.StatusOK, problems: []string{codeInternalError}}, s.readKeySet),
		newReadOperation(operation{method: http.MethodGet, path: "/healthz", id: "health", summary: "Report whether the process is alive",
			status: http.StatusOK}, s.readHealth),
		newReadOperation(operation{method: http.MethodGet, path: readinessPath, id: "readiness", summary: "Report whether challenges can be started, sent and checked",
			status: http.StatusOK, problems: []string{"unavailable"}}, s.readReadiness),
	)
}

// keySet is a JSON Web Key Set (RFC 7517 §5): the keys of all apps' signers, each once.
type keySet struct {
	Keys []jwk `json:"keys" nullable:"false"`
}

// jwk is one public key, with the members that its kty calls for.
type jwk map[string]any

func (s *Server) readKeySet(context.Context, *call) (*keySet, error) {
	set := &keySet{Keys: []jwk{}}
	seen := map[string]string{}
	for _, a := range s.apps {
		var own keySet
		if err := json.Unmarshal(a.signer.JWKS(), &own); err != nil {
			return nil, fmt.Errorf("app %q: JWKS: %w", a.engine.App(), err)
		}
		for _, k := range own.Keys {
			kid, _ := k["kid"].(string)
			text, err := json.Marshal(k)
			if err != nil {
				return nil, fmt.Errorf("app %q: JWKS: %w", a.engine.App(), err)
			}
			switch before, twice := seen[kid]; {
			case kid == "":
				return nil, fmt.Errorf("app %q: JWKS: a key has no kid", a.engine.App())
			case twice && before != string(text):
				return nil, fmt.Errorf("app %q: JWKS: another app has another key %q", a.engine.App(), kid)
			case !twice:
				seen[kid] = string(text)
				set.Keys = append(set.Keys, k)
			}
		}
	}
	return set, nil
}

// checkKeySets reports at the start whether the key set can be published.
func (s *Server) checkKeySets() error {
	_, err := s.readKeySet(context.Background(), nil)
	return err
}

// healthView is the response of health and readiness; a failure is a problem.
type healthView struct {
	Status string `json:"status" enum:"ok"`
}

func (s *Server) readHealth(context.Context, *call) (*healthView, error) {
	return &healthView{"ok"}, nil
}

const readinessPath = "/readyz"

// readinessTimeout bounds the check of the stores, because probes time out early.
const readinessTimeout = time.Second

// readReadiness checks all engines concurrently. The engines bound how often they access the stores.
func (s *Server) readReadiness(ctx context.Context, _ *call) (*healthView, error) {
	ctx, cancel := context.WithTimeout(ctx, readinessTimeout)
	defer cancel()
	errs := make([]error, len(s.apps))
	var group sync.WaitGroup
	for n, a := range s.apps {
		group.Go(func() { errs[n] = a.engine.Ping(ctx) })
	}
	group.Wait()
	cause := errors.Join(errs...)
	detail := describeFaults(errs)
	s.readiness.logChange(ctx, s.log, detail, cause)
	if cause == nil {
		return &healthView{"ok"}, nil
	}
	return nil, &detailedError{&watchword.Error{Code: watchword.ErrUnavailable.Code, Cause: cause}, detail}
}

// describeFaults lists the parts that do not work with their reasons, each once even if several apps share it.
func describeFaults(errs []error) string {
	var faults []string
	for _, err := range errs {
		var known *watchword.Error
		if !errors.As(err, &known) {
			continue
		}
		for _, f := range known.Faults {
			if text := f.Part + ": " + f.Reason; !slices.Contains(faults, text) {
				faults = append(faults, text)
			}
		}
	}
	return strings.Join(faults, "; ")
}

// readiness holds the last result, so that only changes are logged.
type readiness struct {
	mu      sync.Mutex
	failing bool
}

func (r *readiness) logChange(ctx context.Context, log *slog.Logger, faults string, cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if failing := cause != nil; failing == r.failing {
		return
	}
	r.failing = cause != nil
	if r.failing {
		log.ErrorContext(ctx, "server is not ready", "faults", faults, "cause", cause.Error())
		return
	}
	log.InfoContext(ctx, "server is ready again")
}
