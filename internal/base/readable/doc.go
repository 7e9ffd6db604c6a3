// Package readable writes times and numbers as people read them, the same way
// everywhere: in what the CLI prints, in answers of the API and in the records
// that smartlb writes. [Time] is for text, [Number] for data.
package readable
