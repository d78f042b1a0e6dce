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

// operations is the whole API.
func (s *Server) operations() []operation {
	return append(append(challengeOperations(), factorOperations()...),
		reading(operation{method: http.MethodGet, path: keySetPath, id: "keySet", summary: "The public keys of receipts",
			status: http.StatusOK, problems: []string{codeInternalError}}, s.keySet),
		reading(operation{method: http.MethodGet, path: "/healthz", id: "health", summary: "Whether the process is alive",
			status: http.StatusOK}, s.health),
		reading(operation{method: http.MethodGet, path: readyPath, id: "readiness", summary: "Whether challenges can be started, sent and checked",
			status: http.StatusOK, problems: []string{"unavailable"}}, s.ready),
	)
}

// keySet is a JSON Web Key Set (RFC 7517 §5): the keys of all apps' signers, each once.
type keySet struct {
	Keys []jwk `json:"keys" nullable:"false"`
}

// jwk is one public key, with the members that its kty calls for.
type jwk map[string]any

func (s *Server) keySet(context.Context, *call) (*keySet, error) {
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

// checkKeySets finds at start what would keep the keys from being published.
func (s *Server) checkKeySets() error {
	_, err := s.keySet(context.Background(), nil)
	return err
}

// healthView says that all is well; that it is not is a problem.
type healthView struct {
	Status string `json:"status" enum:"ok"`
}

func (s *Server) health(context.Context, *call) (*healthView, error) { return &healthView{"ok"}, nil }

const readyPath = "/readyz"

// readyTime bounds how long the stores are waited for; a probe wants an answer, not the truth of a slow network.
const readyTime = time.Second

// ready tries the parts of all engines at the same time. How often that asks the stores they bound themselves.
func (s *Server) ready(ctx context.Context, _ *call) (*healthView, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	failed := make([]error, len(s.apps))
	var all sync.WaitGroup
	for n, a := range s.apps {
		all.Go(func() { failed[n] = a.engine.Ping(ctx) })
	}
	all.Wait()
	cause := errors.Join(failed...)
	detail := describeFaults(failed)
	s.readiness.note(ctx, s.log, detail, cause)
	if cause == nil {
		return &healthView{"ok"}, nil
	}
	return nil, &detailedError{&watchword.Error{Code: watchword.ErrUnavailable.Code, Cause: cause}, detail}
}

// describeFaults names each part that does not work, once however many apps have it, and why.
func describeFaults(failed []error) string {
	var all []string
	for _, err := range failed {
		var known *watchword.Error
		if !errors.As(err, &known) {
			continue
		}
		for _, f := range known.Faults {
			if text := f.Part + ": " + f.Reason; !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
	}
	return strings.Join(all, "; ")
}

// readiness logs when it changes, and not each time that somebody asks.
type readiness struct {
	mu  sync.Mutex
	red bool
}

func (r *readiness) note(ctx context.Context, log *slog.Logger, faults string, cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if red := cause != nil; red == r.red {
		return
	}
	r.red = cause != nil
	if r.red {
		log.ErrorContext(ctx, "server is not ready", "faults", faults, "cause", cause.Error())
		return
	}
	log.InfoContext(ctx, "server is ready again")
}
