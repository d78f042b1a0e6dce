package sqlite

import (
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/watchword-auth/watchword/internal/outbound"
)

// codeMeanings are those of SQLite's result codes that mean something to whoever runs the server.
var codeMeanings = map[int]outbound.Failure{
	codes.SQLITE_BUSY:     "another process holds the database",
	codes.SQLITE_CANTOPEN: "database file cannot be opened",
	codes.SQLITE_CORRUPT:  "database file is damaged",
	codes.SQLITE_FULL:     "disk is full",
	codes.SQLITE_IOERR:    "database file cannot be written or read",
	codes.SQLITE_NOTADB:   "file is not a database",
	codes.SQLITE_READONLY: "database file is read-only",
}

// primaryCodeMask are the bits of a result code that do not tell its details.
const primaryCodeMask = 0xff

// describeError says in plain words why a statement failed, and SQLite's code.
func describeError(err error) error {
	var failed *driver.Error
	if !errors.As(err, &failed) {
		return err
	}
	meaning := codeMeanings[failed.Code()&primaryCodeMask]
	if meaning == "" {
		return err
	}
	return meaning + outbound.Failure(fmt.Sprintf(" (SQLite %d)", failed.Code()))
}
