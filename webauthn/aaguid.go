package webauthn

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"github.com/google/uuid"
)

//go:embed aaguids.txt
var modelTable string

// parseModelTable returns the display names of well-known authenticator models, by AAGUID. All strategies share the map; it must
// not be modified.
var parseModelTable = sync.OnceValue(func() map[string]string {
	names := map[string]string{}
	for line := range strings.Lines(modelTable) {
		id, name, found := strings.Cut(strings.TrimSpace(line), " ")
		if found && id != "#" {
			names[id] = name
		}
	}
	return names
})

// parseAAGUIDs parses ids of authenticator models into a set.
func parseAAGUIDs(texts []string) (map[string]bool, error) {
	ids := map[string]bool{}
	for _, text := range texts {
		id, err := uuid.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%q is no AAGUID", text)
		}
		ids[id.String()] = true
	}
	return ids, nil
}

// formatAAGUID returns the UUID form of an AAGUID, or the nil UUID if raw does not have 16 bytes.
func formatAAGUID(raw []byte) string {
	id, err := uuid.FromBytes(raw)
	if err != nil {
		return uuid.Nil.String()
	}
	return id.String()
}
