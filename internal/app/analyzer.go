package app

// startAnalyzer starts the stream processing of this node.
func (a *App) startAnalyzer(acts *actors) {}
