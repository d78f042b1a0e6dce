package main

import "fmt"

// A person is whom one cycle verifies.
type person struct{ number, subject, ip string }

// numberRanges are ranges of mobile numbers: a format for block and line, the first block, and the number of blocks. The default
// limits allow 2,000 starts an hour to a country and 200 to the numbers of a block.
var numberRanges = []struct {
	format        string
	first, blocks int
}{
	{"+1415%03d%04d", 200, 600},
	{"+1416%03d%04d", 200, 600},
	{"+49151%03d%05d", 100, 200},
	{"+336%03d%05d", 100, 200},
	{"+346%03d%05d", 100, 200},
	{"+316%03d%05d", 100, 200},
	{"+614%03d%05d", 100, 200},
	{"+479%03d%04d", 100, 200},
	{"+3247%02d%05d", 10, 80},
	{"+4179%02d%05d", 20, 80},
	{"+4670%02d%05d", 20, 80},
	{"+39347%02d%05d", 10, 90},
}

// countries are the countries of numberRanges (ISO 3166-1 alpha-2).
var countries = []string{"US", "CA", "DE", "FR", "ES", "NL", "AU", "NO", "BE", "CH", "SE", "IT"}

// newPerson returns the nth person. Persons have different numbers, subjects and addresses. Of maxStarts consecutive persons,
// as many start as the default limits allow.
func newPerson(n int64) person {
	r := numberRanges[n%int64(len(numberRanges))]
	k := n / int64(len(numberRanges))
	block, line := k%int64(r.blocks), k/int64(r.blocks)
	return person{
		number:  fmt.Sprintf(r.format, int64(r.first)+block, line%10_000),
		subject: fmt.Sprintf("user_%d", n),
		ip:      fmt.Sprintf("10.%d.%d.%d", byte(n>>16), byte(n>>8), byte(n)),
	}
}
