"""Reports the load of a service to smartlb. See README.md."""

from ._reporter import Publisher, Reporter
from ._usage import Usage

__all__ = ["Publisher", "Reporter", "Usage"]
