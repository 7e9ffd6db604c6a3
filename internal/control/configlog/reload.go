package configlog

import "github.com/smartlb/smartlb/internal/event"

// Reload takes over a changed file where the file is what this node serves: it
// ignores revisions, or there is none yet. taken is false where routes and
// services come from the log. An error leaves everything as it was.
func (c *Control) Reload(file []byte) (taken bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.cfg.FileOnly && (c.log.Revision != "" || c.st.Revision != "file" && c.st.Revision != "") {
		return false, nil
	}
	if err := c.take(string(file), "file"); err != nil {
		return false, err
	}
	c.cfg.File = file
	c.st.State, c.st.Revision = event.ConfigApplied, "file"
	return true, nil
}
