import numpy as np
import pytest

from minitransformer import WarmupCosine


def test_it_rises_in_a_line_and_falls_along_a_cosine():
    rate = WarmupCosine(peak=1.0, final=0.1, warmup_steps=4, steps=24)
    rates = np.array([float(rate(step)) for step in range(30)])
    np.testing.assert_allclose(rates[:4], [0.2, 0.4, 0.6, 0.8], rtol=1e-6)
    assert rates[4] == pytest.approx(1.0)
    assert rates[14] == pytest.approx(0.55)  # half way
    np.testing.assert_allclose(rates[24:], 0.1, rtol=1e-6)
    assert (np.diff(rates[4:25]) < 0).all()


def test_without_warm_up_it_starts_at_the_peak():
    rate = WarmupCosine(peak=2.0, final=1.0, warmup_steps=0, steps=1)
    assert float(rate(0)) == pytest.approx(2.0)
