// Package sql stores factors in a SQL database. Open it with the package of the database: store/sql/sqlite for a file,
// store/sql/postgres for a server. This package links no driver.
//
// There is one table, watchword_factors, whose key is the app and the factor's id. Each method is one statement. Create inserts
// a row unless the key exists, and Update has the version that the caller has read as its condition. So nothing is locked
// for longer than a statement, and if several nodes update the same version of a factor, one succeeds.
//
// The engine seals the data of a factor. The app, the subject, the strategy, the time of the enrolment (in milliseconds) and
// the number of changes are not encrypted.
//
// Open migrates the schema before it returns. The migrations are embedded. Each is one transaction together with its record in
// the table watchword_migrations, which has it once, so that nodes may start at the same time.
package sql
