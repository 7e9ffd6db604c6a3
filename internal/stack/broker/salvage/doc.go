// Package salvage makes a broker's data directory whole before kfake reads it.
//
// kfake trusts what it finds. After a kill it replays what is on disk, and
// that goes wrong in ways that grow with the second kill: a batch whose index
// entry was not written shifts all later entries, an open transaction that
// was given up in memory only is committed by the next marker of the same
// producer, a torn entry in the middle of the groups' log hides all that
// follow it, the numbers of idempotent producers are those of the last clean
// stop, and logs begin where their files do, whatever had been deleted. One
// flipped bit costs everything behind it.
//
// The journey: [Repair] reads topics.json, then each log of framed entries
// (groups, producers), then each partition. It keeps every record batch whose
// checksum is right, also behind a damaged one; ends transactions that nobody
// can end any more with the marker that a coordinator would write; rebuilds
// the index files, the snapshot of the partition and the numbers of idempotent
// producers from the log. What it cuts out goes to the folder "damaged", and
// [Report] names file, offset and reason.
//
// Only package broker calls it, with the directory locked and nothing open.
// The formats are those of kfake's persist.go at the version in go.mod; a test
// holds them together.
package salvage
