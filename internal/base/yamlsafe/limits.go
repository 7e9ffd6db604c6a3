package yamlsafe

// Limits bound one text. The bounds that are not here are the same for all.
type Limits struct {
	Bytes     int // of the text
	Tokens    int // a key, a value, a bracket, a dash; about 230 bytes of memory each
	Documents int // separated by ---
}

// Small are the limits of files that hold lists of settings: profiles, topic
// catalogs, connectors.
func Small() Limits { return Limits{Bytes: 4 << 20, Tokens: 200_000, Documents: 1000} }

// What holds for every text.
const (
	maxDepth    = 64              // levels of nesting, anchors and tags counted; our documents have fewer than ten
	maxKeys     = 4096            // of one block mapping: the parser recurses for each
	maxOpenKeys = 8192            // of all block mappings that are open at one place
	maxKeyBytes = 1024            // YAML 1.2 §7.4.2 has the same limit for keys without "?"
	maxMarks    = 4               // anchors and tags before one value
	maxCopies   = 1 << 30         // pointers that the parser moves for empty values
	maxAppends  = 1 << 26         // pointers that it copies for the keys of block mappings
	maxPaths    = 64 << 20        // bytes of the paths of keys and items
	maxCopied   = 100_000_000     // characters that the scanner copies or looks at, at the ends of block texts and at tabs
	maxCompared = 10_000_000      // characters that the scanner looks at for merge keys: at each < all that follow
	maxExpanded = 2_000_000       // values after aliases were replaced by what they stand for
	indexBytes  = len("[999999]") // of an item in a path
)
