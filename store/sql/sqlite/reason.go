package sqlite

import (
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/watchword-auth/watchword/internal/outbound"
)

// codeMeanings describes the result codes of SQLite that an operator can act on.
var codeMeanings = map[int]outbound.Failure{
	codes.SQLITE_BUSY:     "another process has locked the database",
	codes.SQLITE_CANTOPEN: "database file cannot be opened",
	codes.SQLITE_CORRUPT:  "database file is damaged",
	codes.SQLITE_FULL:     "disk is full",
	codes.SQLITE_IOERR:    "database file cannot be written or read",
	codes.SQLITE_NOTADB:   "file is not a database",
	codes.SQLITE_READONLY: "database file is read-only",
}

// primaryCodeMask selects the primary result code of an extended one.
const primaryCodeMask = 0xff

// describeError returns a description of SQLite's result code, with the code.
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
