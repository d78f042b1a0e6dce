// Package sql keeps what subjects enrolled in a SQL database. Open it with the package of the database, store/sql/sqlite
// for a file or store/sql/postgres for a server; this one links neither of the drivers.
//
// There is one table, watchword_factors, with the app and the factor's id as its key, and one statement for each
// method. Creating and updating lean on the database alone: an insert that does nothing where the key exists, and an
// update whose condition is the version that the caller has read. So nothing is locked for longer than a statement, and
// of any number of nodes that update one version of a factor one succeeds.
//
// What the statements store has been sealed by the engine. In the open are the app, the subject, the strategy, when it
// was enrolled (with a precision of a millisecond) and how often it has changed.
//
// Open brings the table up to date before it returns. The migrations are embedded, run under a lock, so that nodes may
// start together, and are recorded in the table watchword_migrations.
package sql
