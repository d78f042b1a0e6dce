// Package magiclink proves a mailbox, or a phone, by a link that is sent to it.
//
// Links have two enemies. Programs open them before the person does: mail scanners, previews, some of which run scripts
// and press buttons. And a link signs in whoever asked for it, who need not be the one who opens it: a stranger starts a
// challenge for somebody else's address, and one tired press lets him in. Two rules answer both. Opening a link does
// nothing, whoever opens it; and whoever confirms has to know the number that the starting screen shows, unless he is
// in the very browser that started (its page's cookie says so) or it is the app's backend that asks. One wrong number
// ends the challenge, because a person reads it off a screen and a program guesses.
//
// The same message carries a short code on the same challenge, for a person who reads mail elsewhere: used there, the
// link is dead, and the other way round. It counts against the address's guess budget, as every code does.
//
// What approves, and what does not (token: the link's, from its fragment):
//
//	answer                   a stranger's page    the starter's page, the backend
//	token                    wrong                approves
//	token, right number      approves             approves
//	token, another number    ends the challenge   approves
//	code                     wrong                approves
//	code, right number       approves             approves
//	code, another number     ends the challenge   approves
//
// With ConfirmButton there is no number, and the left column is like the right one: a press confirms. That is for apps
// that accept the two risks above.
package magiclink
