// Package enginetest contains the tests of package watchword that use its exported API alone, with several engines, stores and
// databases. It has no code of its own.
package enginetest
