package app

// Families of sources of instances (services[].discovery).
var (
	familyFound      = gauge("smartlb_discovery_instances", "Instances in the last good answer of a source.", "service", "source")
	familyFoundAge   = gauge("smartlb_discovery_age_seconds", "Time since the last good answer of a source, or since it was configured.", "service", "source")
	familyFoundStale = gauge("smartlb_discovery_stale", "1 if a source has given no good answer for longer than staleAfter, otherwise 0.", "service", "source")
	familyFoundGood  = counter("smartlb_discovery_answers_total", "Good answers of the sources of a service.", "service")
	familyFoundBad   = counter("smartlb_discovery_failures_total", "Attempts at the sources of a service that gave no good answer: no answer, a malformed one, or one that lists no instance or instances that are not allowed.", "service")
	familyHeld       = gauge("smartlb_discovery_held_instances", "Instances that no source lists any more and that stay, because too many left within a minute.", "service")
	familyJoins      = counter("smartlb_discovery_joins_total", "Instances that joined a service.", "service")
	familyLeaves     = counter("smartlb_discovery_leaves_total", "Instances that left a service.", "service")
)

// discovery sends the series of sources of instances.
func (c collector) discovery(s series) {
	for _, v := range c.a.data.discovery.Views() {
		for _, source := range v.Sources {
			s.put(familyFound, float64(source.Instances), v.Service, source.Source)
			s.put(familyFoundAge, source.Age.Seconds(), v.Service, source.Source)
			s.flag(familyFoundStale, source.Stale, v.Service, source.Source)
		}
		s.count(familyFoundGood, v.Answers, v.Service)
		s.count(familyFoundBad, v.Errors, v.Service)
		s.put(familyHeld, float64(v.Held), v.Service)
		s.count(familyJoins, v.Joins, v.Service)
		s.count(familyLeaves, v.Leaves, v.Service)
	}
}
