package yamlsafe

import "bytes"

// checkLines limits the scanner's work on lines. At the end of a block scalar the scanner copies the whole text once
// for each blank line. At a tab in quotes it reads the rest of the line.
//
// checkLines counts every line that may be part of a block scalar. Such a part starts at a line that ends with | or >.
// It ends at a line that is not indented deeper than the key or dash before that indicator.
func checkLines(src []byte) error {
	work, tabs, line := 0, 0, 0
	start, indent := -1, 0 // start of the open scalar, and the indentation that ends it
	for at := 0; at < len(src); {
		end := bytes.IndexAny(src[at:], "\r\n")
		text := src[at:]
		if end >= 0 {
			text = text[:end]
		}
		line++
		trimmed := bytes.TrimLeft(text, " \t")
		switch depth := len(text) - len(trimmed); {
		case len(trimmed) == 0:
			if start >= 0 {
				work += at - start + 1
			}
		default:
			if start >= 0 && depth <= indent {
				start = -1
			}
			if delimited, ok := header(trimmed); ok && start < 0 {
				start, indent = at, -1
				if delimited {
					indent = depth
				}
			}
		}
		if n := bytes.Count(text, []byte{'\t'}); n > 1 {
			tabs += n * len(text)
		}
		if tabs > maxCopied {
			return &Error{Line: line, Text: "too many tabs in long lines"}
		}
		if work > maxCopied {
			return &Error{Line: line, Text: "too many blank lines in long block texts (after | or >)"}
		}
		if end < 0 {
			break
		}
		at += end + 1
	}
	return nil
}

// header reports whether a line may begin a block scalar, and whether a key or dash precedes the indicator.
func header(line []byte) (delimited, ok bool) {
	if i := bytes.Index(line, []byte(" #")); i >= 0 {
		line = line[:i]
	}
	line = bytes.TrimRight(line, " \t0123456789+-")
	if len(line) == 0 || line[len(line)-1] != '|' && line[len(line)-1] != '>' {
		return false, false
	}
	before := line[:len(line)-1]
	return bytes.Contains(before, []byte(": ")) || bytes.HasPrefix(before, []byte("- ")), true
}
