package sqlite

import (
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/watchword-auth/watchword/internal/outbound"
)

// reasons are those of SQLite's result codes that mean something to whoever runs the server.
var reasons = map[int]outbound.Failure{
	codes.SQLITE_BUSY:     "another process holds the database",
	codes.SQLITE_CANTOPEN: "database file cannot be opened",
	codes.SQLITE_CORRUPT:  "database file is damaged",
	codes.SQLITE_FULL:     "disk is full",
	codes.SQLITE_IOERR:    "database file cannot be written or read",
	codes.SQLITE_NOTADB:   "file is not a database",
	codes.SQLITE_READONLY: "database file is read-only",
}

// primary are the bits of a result code that do not tell its details.
const primary = 0xff

// plain says in plain words why a statement failed, and SQLite's code.
func plain(err error) error {
	var failed *driver.Error
	if !errors.As(err, &failed) {
		return err
	}
	meaning := reasons[failed.Code()&primary]
	if meaning == "" {
		return err
	}
	return meaning + outbound.Failure(fmt.Sprintf(" (SQLite %d)", failed.Code()))
}
