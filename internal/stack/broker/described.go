package broker

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// inherited returns the topic settings that follow from broker settings, with the broker's name for each. kfake
// enforces the broker's value but describes topics with its own default.
func inherited() map[string][2]string {
	return map[string][2]string{
		"max.message.bytes": {"message.max.bytes", strconv.Itoa(maxMessageBytes)},
		"segment.bytes":     {"log.segment.bytes", strconv.Itoa(segmentBytes)},
	}
}

// invented are settings that kfake reports but that do not apply to this broker. This broker has no rack, no users and
// no mechanisms, and cleans by its own rules.
var invented = []string{"broker.rack", "super.users", "sasl.enabled.mechanisms", "log.cleaner.backoff.ms"}

// describe completes a reply about settings.
func describe(resp kmsg.Response) {
	r, ok := resp.(*kmsg.DescribeConfigsResponse)
	if !ok {
		return
	}
	values := inherited()
	for i := range r.Resources {
		res := &r.Resources[i]
		switch res.ResourceType {
		case kmsg.ConfigResourceTypeBroker:
			res.ResourceName = outsideName(res.ResourceName)
			res.Configs = slices.DeleteFunc(res.Configs, func(c kmsg.DescribeConfigsResponseResourceConfig) bool { return slices.Contains(invented, c.Name) })
			node := strconv.Itoa(NodeID)
			for j := range res.Configs {
				if res.Configs[j].Name == "broker.id" {
					res.Configs[j].Value = &node
				}
			}
		case topicResource:
			for j := range res.Configs {
				c := &res.Configs[j]
				of, is := values[c.Name]
				switch {
				case !is:
				case c.Source != kmsg.ConfigSourceDynamicTopicConfig:
					inherit(c, of[0], of[1])
				default: // the broker's value applies if the topic's value is unset
					own := slices.DeleteFunc(c.ConfigSynonyms, func(s kmsg.DescribeConfigsResponseResourceConfigConfigSynonym) bool {
						return s.Source != kmsg.ConfigSourceDynamicTopicConfig
					})
					c.ConfigSynonyms = append(own, synonym(of[0], of[1]))
				}
			}
		}
	}
}

// inherit sets a topic's setting to the broker's value.
func inherit(c *kmsg.DescribeConfigsResponseResourceConfig, name, value string) {
	c.Value, c.Source, c.IsDefault = &value, kmsg.ConfigSourceStaticBrokerConfig, false
	c.ConfigSynonyms = []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{synonym(name, value)}
}

func synonym(name, value string) kmsg.DescribeConfigsResponseResourceConfigConfigSynonym {
	s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
	s.Name, s.Value, s.Source = name, &value, kmsg.ConfigSourceStaticBrokerConfig
	return s
}

// lists replaces missing lists by empty lists: Kafka never sends null there, and clients do not expect it.
func lists(resp kmsg.Response) {
	if r, ok := resp.(*kmsg.DescribeClientQuotasResponse); ok && r.Entries == nil {
		r.Entries = []kmsg.DescribeClientQuotasResponseEntry{}
	}
}

// offsetsOf returns an edit of the reply about offsets of groups that do not exist. Kafka returns -1 for each
// partition, so that a client with a new group can begin; kfake returns an error that the group does not exist.
func offsetsOf(req *kmsg.OffsetFetchRequest) func(kmsg.Response) {
	return func(resp kmsg.Response) {
		r, ok := resp.(*kmsg.OffsetFetchResponse)
		if !ok {
			return
		}
		unknown := kerr.GroupIDNotFound.Code
		if r.Version < 8 {
			if r.ErrorCode == unknown || r.Version < 2 && len(r.Topics) == 0 { // versions 0 and 1 have no error code for the whole reply
				r.ErrorCode, r.Topics = 0, noOffsets(req.Topics)
			}
			return
		}
		for i := range r.Groups {
			g := &r.Groups[i]
			for _, asked := range req.Groups {
				if g.ErrorCode == unknown && asked.Group == g.Group && asked.MemberID == nil {
					g.ErrorCode, g.Topics = 0, noGroupOffsets(asked.Topics)
				}
			}
		}
	}
}

func noOffsets(asked []kmsg.OffsetFetchRequestTopic) []kmsg.OffsetFetchResponseTopic {
	out := []kmsg.OffsetFetchResponseTopic{}
	for _, t := range asked {
		topic := kmsg.NewOffsetFetchResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			one := kmsg.NewOffsetFetchResponseTopicPartition()
			one.Partition, one.Offset, one.LeaderEpoch, one.Metadata = p, -1, -1, kmsg.StringPtr("")
			topic.Partitions = append(topic.Partitions, one)
		}
		out = append(out, topic)
	}
	return out
}

func noGroupOffsets(asked []kmsg.OffsetFetchRequestGroupTopic) []kmsg.OffsetFetchResponseGroupTopic {
	out := []kmsg.OffsetFetchResponseGroupTopic{}
	for _, t := range asked {
		topic := kmsg.NewOffsetFetchResponseGroupTopic()
		topic.Topic, topic.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			one := kmsg.NewOffsetFetchResponseGroupTopicPartition()
			one.Partition, one.Offset, one.LeaderEpoch, one.Metadata = p, -1, -1, kmsg.StringPtr("")
			topic.Partitions = append(topic.Partitions, one)
		}
		out = append(out, topic)
	}
	return out
}
