import numpy as np
import pytest

from dynmix_tf.benchmarks.conditions import evenly_spread


@pytest.mark.parametrize(("count", "most"), [(20, 7), (1800, 200), (10_000, 999), (5, 5), (5, 9)])
def test_one_of_each_equal_part(count, most):
    chosen = np.array(evenly_spread(range(count), "most", most))
    kept = min(count, most)
    ends = np.arange(kept + 1) * count // kept
    assert ((ends[:-1] <= chosen) & (chosen < ends[1:])).all()
    assert evenly_spread(range(count), "most", most) == chosen.tolist()


def test_classes_that_take_turns_are_all_there():
    labels = np.array(evenly_spread(np.arange(1800) % 9, "most", 200))
    counts = np.bincount(labels, minlength=9)
    assert counts.min() > 10 and counts.max() < 40
