package kafka_test

import (
	"slices"
	"testing"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

func TestTheBrokerThatAnswersIsAsked(t *testing.T) {
	c := kafkatest.New(t, "a")
	hangs, _ := kafkatest.Mute(t)
	const refuses = "127.0.0.1:1"
	for _, row := range []struct{ given, want []string }{
		{[]string{hangs, c.Addr(), refuses}, []string{c.Addr()}},
		{[]string{refuses, hangs}, []string{refuses, hangs}}, // the usual way says what is wrong
		{[]string{hangs}, []string{hangs}},
	} {
		cfg := kafka.Default()
		cfg.Brokers = row.given
		if got := cfg.Answering(t.Context()).Brokers; !slices.Equal(got, row.want) {
			t.Errorf("of %v: %v, want %v", row.given, got, row.want)
		}
	}
}
