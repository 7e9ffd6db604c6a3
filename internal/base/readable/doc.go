// Package readable formats times and numbers for people, in the same way everywhere: in the output of the CLI, in
// answers of the API and in the records that smartlb writes. [Time] is for text, [Number] for data.
package readable
