package browse

// CutText is cutText, for tests.
var CutText = cutText
