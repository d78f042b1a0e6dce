package server

import (
	"errors"
	"maps"
	"net/http"
	"slices"
)

// MountPages adds the hosted pages of the apps, and their scripts, to the mux of a program that calls the engines itself: the paths
// below /c/, /l/, /v/ and /pages/, and the module of the element at /element.js. The API is not served, so apps need neither keys nor
// a signer. The public URL of an app must lead to the mux. The error lists all settings that are missing or unsafe, or names a pattern
// that the mux has already.
func MountPages(mux *http.ServeMux, cfg Config) error {
	methods := map[string][]string{}
	s, err := newServer(cfg, false, func(s *Server) error {
		return errors.Join(s.registerPages(methods), s.completeRoutes(methods, cfg.Mount))
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range slices.Sorted(maps.Keys(methods)) {
		errs = append(errs, registerHandler(mux, path, s))
	}
	for pattern := range cfg.Mount {
		errs = append(errs, registerHandler(mux, pattern, s))
	}
	return errors.Join(errs...)
}
