// Package enginetest holds the tests of the engine's behavior: everything that a user of package watchword can observe, over
// its exported names alone, with several engines, stores and databases at once. They stand here and not beside the engine
// because there are many of them.
package enginetest
