// Package magiclink implements the strategy "magiclink": it verifies an e-mail address or a phone by a link that is sent to it.
//
// Links have two risks. Mail scanners and previews open links before the person does, and some of them run scripts and click
// buttons. And a link approves the challenge of the browser that started it: an attacker can start a challenge for somebody
// else's address, and is signed in if that person clicks the link. Two rules reduce these risks:
//
//   - Opening a link changes nothing.
//   - To confirm, the person types the two-digit number that the starting screen shows. One wrong number locks the challenge.
//     No number is needed in the browser that started the challenge, which its page's cookie shows, or if the app's backend
//     checks the answer.
//
// The message also contains a short code of the same challenge, for a person who reads mail on another device. Using the code
// invalidates the link, and using the link invalidates the code. Wrong codes count against the failed-attempt limit of the
// address.
//
// The result of each answer, where token is the link's token, which is in its fragment:
//
//	answer                   on another page      on the starter's page, from the backend
//	token                    refused              approves
//	token, right number      approves             approves
//	token, another number    locks the challenge  approves
//	code                     refused              approves
//	code, right number       approves             approves
//	code, another number     locks the challenge  approves
//
// A challenge that lives longer than ten minutes (watchword.Config.Lifetimes) is confirmed by a click, since nobody has the starting
// screen the next day, and has no code. The browser that confirms it gets the return code, and nobody else can use the receipt.
//
// With ConfirmButton there is no number: a click confirms, and every answer is treated as on the starter's page. Use it only if
// you accept both risks.
package magiclink
