import numpy as np
import pytest

from minitransformer import WarmupCosine, WarmupInverseRoot


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


def test_it_rises_in_a_line_and_falls_with_the_root():
    rate = WarmupInverseRoot(d_model=16, warmup_steps=4, factor=8.0)
    rates = np.array([float(rate(step)) for step in range(64)])
    np.testing.assert_allclose(rates[:4], [0.25, 0.5, 0.75, 1.0], rtol=1e-6)
    assert rates[15] == pytest.approx(0.5)  # step 16: four times as late
    assert rates[63] == pytest.approx(0.25)
    assert rates.max() == rates[3] == pytest.approx(8 / (16 * 4) ** 0.5)
    again = WarmupInverseRoot.from_config(rate.get_config())
    assert float(again(7)) == float(rate(7))
