// Package salvage repairs a broker's data directory before kfake reads it.
//
// kfake trusts its files. After a kill it replays them, with errors that grow with a second kill:
//
//   - A batch without its index entry shifts all later entries.
//   - An open transaction that was aborted only in memory is committed by the next marker of the same producer.
//   - A torn entry in the middle of the groups' log hides all later entries.
//   - The numbers of idempotent producers are those of the last clean stop.
//   - Logs begin where their files begin, even if records had been deleted.
//   - One flipped bit loses everything after it.
//
// [Repair] reads topics.json, then each log of framed entries (groups, producers), then each partition. It keeps every
// record batch whose checksum is right, also after a damaged batch. It ends transactions that no producer can end any
// more with the marker that a coordinator would write. It rebuilds the index files, the snapshot of the partition and
// the numbers of idempotent producers from the log. It moves what it removes to the folder "damaged"; [Report] names
// file, offset and reason.
//
// Only package broker calls it, with the directory locked and no file open. The formats are those of kfake's persist.go
// at the version in go.mod; a test compares them.
package salvage
