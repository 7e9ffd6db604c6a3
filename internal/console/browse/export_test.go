package browse

// CutText is cutText, for tests.
var CutText = cutText

// TellAlways makes searches tell their progress whenever they may.
func (b *Browser) TellAlways() { b.tellEvery = 0 }
