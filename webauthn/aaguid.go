package webauthn

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

//go:embed aaguids.txt
var modelTable string

// parseModelTable reads the table of well-known authenticators: names for people, by AAGUID.
func parseModelTable() map[string]string {
	names := map[string]string{}
	for line := range strings.Lines(modelTable) {
		id, name, found := strings.Cut(strings.TrimSpace(line), " ")
		if found && id != "#" {
			names[id] = name
		}
	}
	return names
}

// parseAAGUIDs parses the ids of authenticator models.
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

// formatAAGUID is the usual form of 16 bytes; of anything else it is the form of none.
func formatAAGUID(raw []byte) string {
	id, err := uuid.FromBytes(raw)
	if err != nil {
		return uuid.Nil.String()
	}
	return id.String()
}
