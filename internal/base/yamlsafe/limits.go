package yamlsafe

// Limits are the limits of one text. The other limits, below, are the same for all texts.
type Limits struct {
	Bytes     int // of the text
	Tokens    int // a key, a value, a bracket, a dash; about 230 bytes of memory each
	Documents int // separated by ---
}

// Small returns the limits for files with lists of settings: profiles, topic catalogs, connectors.
func Small() Limits { return Limits{Bytes: 4 << 20, Tokens: 200_000, Documents: 1000} }

// Limits of every text.
const (
	maxDepth    = 64              // levels of nesting, including anchors and tags; documents of smartlb have fewer than ten
	maxKeys     = 4096            // of one block mapping: the parser recurses for each key
	maxOpenKeys = 8192            // of all block mappings open at one place
	maxKeyBytes = 1024            // YAML 1.2 §7.4.2 has the same limit for keys without "?"
	maxMarks    = 4               // anchors and tags before one value
	maxCopies   = 1 << 30         // pointers that the parser moves for empty values
	maxAppends  = 1 << 26         // pointers that the parser copies for the keys of block mappings
	maxPaths    = 64 << 20        // bytes of the paths of keys and items
	maxCopied   = 100_000_000     // characters that the scanner copies or reads, at the ends of block texts and at tabs
	maxCompared = 10_000_000      // characters that the scanner reads for merge keys: at each < all that follow
	maxExpanded = 2_000_000       // values after the expansion of aliases
	indexBytes  = len("[999999]") // of an item in a path
)
