// Package delivery brings messages to people.
package delivery
