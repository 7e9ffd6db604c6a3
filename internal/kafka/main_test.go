package kafka_test

import (
	"testing"

	"github.com/smartlb/smartlb/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
