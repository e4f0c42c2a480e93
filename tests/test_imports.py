"""Imports leave the collector of garbage as they found it."""

from __future__ import annotations

import gc
import weakref

import pytest

from fsp.imports import loaded, uncollected


class Node:
    """What refers to itself, so that only the collector frees it."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def restored():
    yield
    gc.unfreeze()
    gc.enable()


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_off_inside_and_as_before_after(enabled):
    (gc.enable if enabled else gc.disable)()
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled() == enabled
    with pytest.raises(ModuleNotFoundError):
        loaded("fsp.nowhere")
    assert gc.isenabled() == enabled


def test_garbage_of_before_and_of_inside_is_collected_after():
    before = weakref.ref(Node())
    with uncollected():
        inside = weakref.ref(Node())
    gc.collect()
    assert before() is None
    assert inside() is None


def test_what_is_young_is_old_after():
    gc.collect()
    with uncollected():
        nodes = [Node() for _ in range(500)]
    assert not any(node is nodes[0] for node in gc.get_objects(generation=0))
    assert any(node is nodes[0] for node in gc.get_objects(generation=2))


def test_what_the_caller_froze_stays_frozen():
    gc.freeze()
    count = gc.get_freeze_count()
    assert count > 0
    with uncollected():
        pass
    assert gc.get_freeze_count() >= count - 100  # reference counts free some
