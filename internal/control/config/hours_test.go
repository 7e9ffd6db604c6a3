package config

import (
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

func TestRoutesWithHours(t *testing.T) {
	const start = "services: [{id: a, instances: [{id: i, address: 'h:1'}]}]\nroutes:\n  - {name: always, service: a}\n  - {name: night, service: a, hours: "
	for hours, want := range map[string]string{
		`[{from: "22:00", to: "06:00", timeZone: Europe/Berlin}]`: "",
		`[{days: [sat, sun]}, {from: "22:00", to: "06:00"}]`:      "",
		`[{}]`:                                               "routes[1].hours[0]: has no effect: want days, or from and to",
		`[{from: "22:00"}]`:                                  "routes[1].hours[0]: want from and to, or neither for whole days",
		`[{to: "22:00", days: [mon]}]`:                       "routes[1].hours[0]: want from and to, or neither for whole days",
		`[{from: "22:00", to: "22:00"}]`:                     "routes[1].hours[0].to: is the same as from",
		`[{from: "24:00", to: "06:00"}]`:                     `routes[1].hours[0].from: "24:00": want a time between 00:00 and 23:59`,
		`[{from: "6:00", to: "07:00"}]`:                      `routes[1].hours[0].from: "6:00": want a time`,
		`[{from: "06:00", to: "noon"}]`:                      `routes[1].hours[0].to: "noon": want a time`,
		`[{days: [monday]}]`:                                 "routes[1].hours[0].days[0]: unknown",
		`[{days: [mon, mon]}]`:                               `routes[1].hours[0].days[1]: "mon": want each day once`,
		`[{days: ['']}]`:                                     `routes[1].hours[0].days[0]: "": want each day once`,
		`[{days: [mon], timeZone: Berlin}]`:                  `routes[1].hours[0].timeZone: "Berlin" is no time zone`,
		`[{days: [mon], timeZone: Local}]`:                   `routes[1].hours[0].timeZone: "Local" is no time zone`,
		`[{days: [mon], timeZone: localtime}]`:               `routes[1].hours[0].timeZone: "localtime" is no time zone`,
		`[{days: [mon], timeZone: posixrules}]`:              `routes[1].hours[0].timeZone: "posixrules" is no time zone`,
		`[{days: [mon], timeZone: posix/Europe/Berlin}]`:     `routes[1].hours[0].timeZone: "posix/Europe/Berlin" is no time zone`,
		`[{days: [mon], timeZone: right/Europe/Berlin}]`:     `routes[1].hours[0].timeZone: "right/Europe/Berlin" is no time zone`,
		`[{days: [mon], timeZone: ../../../etc/passwd}]`:     "routes[1].hours[0].timeZone: ",
		`[{days: [sun, mon, tue, wed, thu, fri, sat, sun]}]`: "routes[1].hours[0].days: ",
		`night`: "routes[1].hours: want a list",
	} {
		_, err := Check([]byte(start + hours + "}\n"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", hours, err, want)
		}
	}
	d, err := Check([]byte(start + `[{days: [fri], from: "22:00", to: "06:00", timeZone: Europe/Berlin}]}` + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	table, err := Compile(d, "r", upstream.NewService, Local{})
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]string{"2026-12-04T21:30:00Z": "night", "2026-12-05T04:30:00Z": "night", "2026-12-05T05:00:00Z": "always", "2026-12-03T22:30:00Z": "always"} {
		when, _ := time.Parse(time.RFC3339, at)
		route, ok := table.Routes.Match(hashed{}, router.Peer{At: when})
		if !ok || route.Name != want {
			t.Errorf("at %s: %v", at, route)
		}
	}
}
