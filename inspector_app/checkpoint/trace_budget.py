"""What tracing all pickles of one file may cost, those inside others included."""

from __future__ import annotations

from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.pickle_machine import TENSOR_COST

# Beside what one pickle alone may cost.
_STREAMS = 2
_UNPACKED = 2
# A tensor earns the file its cost only if the file is large enough to hold it.
_COST_OF_A_BYTE = 400


class BudgetSpent(Exception):
    """All that one file may cost has been spent.

    No `CheckpointError`: no container inside another goes on after it.
    """


class TraceBudget:
    """Spent by the streams of one file together, so that many small ones cost no more than one.

    Args:
        size: of the file, in bytes.
        expected: how many tensors and storages it is known to have.

    Attributes:
        what, limit: of what there was too much, and how much there may be, for a problem.
    """

    def __init__(self, limits: Limits, size: int, expected: int) -> None:
        earned = min(expected * TENSOR_COST, size * _COST_OF_A_BYTE)
        self._opcodes = self._all_opcodes = _STREAMS * limits.object_bytes + earned
        self._unpacked = self._all_unpacked = _UNPACKED * limits.inflated_bytes + size
        self.what = ""
        self.limit = ""

    @property
    def spent(self) -> bool:
        return bool(self.what)

    def execute(self, cost: int) -> bool:
        """Spend what opcodes cost, in the estimated bytes of `pickle_machine.COST`, which also
        stand for their time. False if more was spent than there was."""
        self._opcodes -= cost
        if self._opcodes < 0 and not self.what:
            self.what = "what all its pickles make together"
            self.limit = f"{self._all_opcodes >> 20} MiB"
        return not self.what

    def charge(self, cost: int) -> None:
        """The same for what is no pickle, by its time.

        Raises:
            BudgetSpent: more was spent than there was.
        """
        if not self.execute(cost):
            raise BudgetSpent

    def unpack(self, nbytes: int) -> None:
        """Bytes are to be read into memory, and maybe unpacked.

        Raises:
            BudgetSpent: they are too many with those before them.
        """
        self._unpacked -= nbytes
        if self._unpacked < 0 and not self.what:
            self.what = "the size of the entries with pickles together"
            self.limit = f"{self._all_unpacked >> 20} MiB"
        if self.what:
            raise BudgetSpent
