package receiver

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/grouping"
)

// slack posts to an incoming webhook of Slack, Mattermost or Rocket.Chat. The attachment is what all three understand.
type slack struct {
	web
	links links
}

// Limits of a payload. Slack refuses or cuts longer ones.
const (
	slackTitle  = 150
	slackText   = 3000
	slackAlerts = 20 // alerts in a text
)

type slackPayload struct {
	Attachments []slackAttachment `json:"attachments"`
}

type slackAttachment struct {
	Color     string   `json:"color"`
	Title     string   `json:"title"`
	TitleLink string   `json:"title_link,omitempty"`
	Fallback  string   `json:"fallback"`
	Text      string   `json:"text"`
	Markdown  []string `json:"mrkdwn_in"`
}

func (c *slack) send(ctx context.Context, m grouping.Message, s *secrets) error {
	answer, err := c.post(ctx, "", slackOf(m, c.links), s)
	if err != nil {
		return err
	}
	var said struct {
		OK    *bool  `json:"ok"`
		Error string `json:"error"`
	}
	if json.Unmarshal(answer, &said) == nil && said.OK != nil && !*said.OK {
		return permanent("it answered 200 OK, but not ok: %s", said.Error)
	}
	return nil
}

func slackOf(m grouping.Message, l links) slackPayload {
	title := escapeSlack(subject(m), slackTitle)
	var b strings.Builder
	shown := 0
	for _, a := range m.Alerts[:min(len(m.Alerts), slackAlerts)] {
		line := slackLine(a, l)
		if b.Len()+len(line) > slackText-100 {
			break
		}
		b.WriteString(line)
		shown++
	}
	if more := len(m.Alerts) - shown; more > 0 {
		fmt.Fprintf(&b, "... and %d more", more)
	}
	a := slackAttachment{Color: slackColor(m), Title: title, TitleLink: l.alerts(), Fallback: title, Text: strings.TrimSuffix(b.String(), "\n"), Markdown: []string{"text"}}
	return slackPayload{Attachments: []slackAttachment{a}}
}

func slackLine(a event.Alert, l links) string {
	mark := ":red_circle:"
	switch {
	case a.Status == event.AlertResolved:
		mark = ":white_check_mark:"
	case a.Severity != event.SeverityCritical:
		mark = ":warning:"
	}
	line := mark + " *" + escapeSlack(summaryOf(a), 300) + "* (" + a.Severity + ", " + period(a) + ")\n"
	if d := clean(a.Annotations.Description, 500); d != "" && a.Status == event.AlertFiring {
		line += escapeSlack(d, 500) + "\n"
	}
	if link := l.runbookOf(a); link != "" && a.Status == event.AlertFiring {
		line += "<" + link + "|runbook>\n"
	}
	return line
}

func slackColor(m grouping.Message) string {
	if m.Firing() == 0 {
		return "good"
	}
	for _, a := range m.Alerts {
		if a.Status == event.AlertFiring && a.Severity == event.SeverityCritical {
			return "danger"
		}
	}
	return "warning"
}

// escapeSlack makes a text that cannot be markup: no mention of a channel, no link, no formatting.
func escapeSlack(s string, most int) string {
	s = strings.NewReplacer("*", "∗", "`", "'", "~", "∼").Replace(cut(s, most-most/5))
	return cut(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s), most)
}
