// Package deploytest tests files of deploy/ with the programs that read them: the proxies, and the Debian package.
package deploytest
