// Package quota limits concurrent use: in total, and per party (a user, an address), so that no party can use
// everything.
//
// A party that holds n units gets another unit only while more than n units are free. A single party therefore gets at
// most half. The more it holds, the more it leaves to others. The HTTP API limits searches, streams and calls with it,
// and the web listeners limit connections.
package quota
