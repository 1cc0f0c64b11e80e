"""The budget never overflows, never gives up what is in use, and gives up the oldest first."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from groundmesh_generator.adapters.lru import LruBudget

CAPACITY = 10
KEYS = st.integers(0, 5)


class Model(RuleBasedStateMachine):
    """The same moves on the budget and on a list: the least recently used first."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = LruBudget[int](CAPACITY)
        self.order: list[int] = []
        self.sizes: dict[int, int] = {}
        self.users: dict[int, int] = {}

    @rule(key=KEYS, size=st.integers(1, CAPACITY + 1))
    def bring(self, key: int, size: int) -> None:
        if key in self.budget:
            return
        victims = self.budget.victims(size)
        idle = [each for each in self.order if not self.users[each]]
        in_use = sum(self.sizes[each] for each in self.order if self.users[each])
        if in_use + size > CAPACITY:
            assert victims is None
            return
        assert victims == idle[: len(victims or [])]
        for victim in victims or []:
            self.budget.remove(victim)
            self.order.remove(victim)
        if victims:
            kept = sum(self.sizes[each] for each in [*self.order, victims[-1]])
            assert kept + size > CAPACITY, "one too many went"
        self.budget.add(key, size)
        self.order.append(key)
        self.sizes[key], self.users[key] = size, 0

    @precondition(lambda self: self.order)
    @rule(data=st.data())
    def hold(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.order))
        self.budget.hold(key)
        self.users[key] += 1
        self.order.append(self.order.pop(self.order.index(key)))

    @precondition(lambda self: any(self.users[key] for key in self.order))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from([each for each in self.order if self.users[each]]))
        self.budget.release(key)
        self.users[key] -= 1
        self.order.append(self.order.pop(self.order.index(key)))

    @rule(key=KEYS)
    def release_what_is_gone(self, key: int) -> None:
        if key not in self.budget:
            self.budget.release(key)

    @invariant()
    def agrees(self) -> None:
        assert list(self.budget) == self.order
        assert self.budget.used == sum(self.sizes[key] for key in self.order) <= CAPACITY
        idle = [key for key in self.order if not self.users[key]]
        assert self.budget.idle() == (idle[0] if idle else None)


TestLruBudget = Model.TestCase
TestLruBudget.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
