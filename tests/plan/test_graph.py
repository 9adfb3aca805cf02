"""Shots wait for what they need, and those with the longest way to go are first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.plan.graph import in_order, priorities
from tests.plan.boards import plan


def test_the_longest_remaining_path_goes_first() -> None:
    #  a ─► b ─► c ─► d      e ─► d      f
    graph = {"f": [], "e": [], "a": [], "b": ["a"], "c": ["b"], "d": ["c", "e"]}

    assert priorities(graph) == {"a": 4, "b": 3, "c": 2, "d": 1, "e": 2, "f": 1}


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Graphs without circles, whose nodes stand in any order."""
    count = draw(st.integers(1, 12))
    needs = {
        f"s{node}": [f"s{need}" for need in sorted(draw(st.sets(st.integers(0, node - 1), max_size=3)))] if node else []
        for node in range(count)
    }
    return {node: needs[node] for node in draw(st.permutations(list(needs)))}


@given(graphs())
def test_everything_comes_after_what_it_needs(graph: dict[str, list[str]]) -> None:
    order = in_order(graph)

    assert sorted(order) == sorted(graph)
    assert all(order.index(need) < order.index(node) for node, needs in graph.items() for need in needs)


@given(graphs())
def test_a_priority_is_one_more_than_that_of_what_waits_the_longest(graph: dict[str, list[str]]) -> None:
    found = priorities(graph)

    for node in graph:
        waiting = [found[other] for other, needs in graph.items() if node in needs]
        assert found[node] == 1 + max(waiting, default=0)


def test_a_chain_of_thousands_is_planned() -> None:
    chain = {f"s{node}": [f"s{node - 1}"] if node else [] for node in range(5000)}

    assert priorities(chain)["s0"] == 5000


def test_the_critical_path_is_the_longest_chain_not_the_number_of_shots() -> None:
    planned = plan("""
        shots:
          - {id: one, prompt: A tram}
          - {id: two, prompt: It goes on, boundary: continue}
          - {id: three, prompt: A hall}
          - {id: four, prompt: It goes on, boundary: continue}
          - {id: five, prompt: And on, boundary: continue}
          - {id: six, prompt: A tree}
        """)

    assert planned.priority == {"one": 2, "two": 1, "three": 3, "four": 2, "five": 1, "six": 1}
    assert planned.critical_path_s == 3 * 120


def test_a_long_film_is_planned_quickly() -> None:
    shots = "\n".join(
        f"  - {{id: s{at}, prompt: Shot {at}, boundary: {'continue' if at else 'cut'}}}" for at in range(300)
    )

    planned = plan(f"shots:\n{shots}\n")

    assert planned.frames == 121 + 299 * 120
    assert planned.critical_path_s == 300 * 120
