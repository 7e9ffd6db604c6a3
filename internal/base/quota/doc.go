// Package quota bounds what is in use at one moment: in all, and by each party
// (a user, an address) so that no party can take all of it.
//
// A party that holds n takes another only while more than n are free. One alone
// gets the half; the more it holds, the more it leaves to others. The HTTP API
// bounds searches, streams and calls by it, and the web listeners connections.
package quota
