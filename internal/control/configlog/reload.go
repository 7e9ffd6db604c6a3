package configlog

import "github.com/smartlb/smartlb/internal/control/config"

// Reload applies a changed file if this node serves the file, because it ignores revisions or there is no revision yet.
// taken is false if routes and services come from the log. After an error nothing has changed.
func (c *Control) Reload(file []byte) (taken bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.cfg.FileOnly && (c.log.Revision != "" || c.st.Revision != "file" && c.st.Revision != "") {
		return false, nil
	}
	if config.Blank(file) && !config.Blank(c.cfg.File) { // often a file that was cut, such as on a full disk
		return false, config.ErrBlank
	}
	if err := c.take(string(file), "file"); err != nil {
		return false, err
	}
	c.cfg.File = file
	c.turn(fileTaken)
	c.st.Revision = "file"
	return true, nil
}
