"""The right frames at the right times, in every codec and container that PyAV writes. The frames tell their number."""

import av
import numpy as np
import pytest
from numbered_parts import FPS, Case, all_cases, number_in, write_case

from uniopd_mm.processors.budget import PixelBudget
from uniopd_mm.processors.sampling import FrameSampling
from uniopd_mm.processors.video import load_video

BUDGET = PixelBudget(factor=1, min_pixels=1, max_pixels=10**6)
SOME = FrameSampling(num_frames=10)
ALL = FrameSampling(fps=1000.0, max_frames=10**4)
CASES = all_cases()


def test_the_matrix_is_wide() -> None:
    assert len(CASES) >= 80
    assert len({case.suffix for case in CASES}) >= 20


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_frames_and_times(case: Case, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = write_case(case, tmp_path_factory.mktemp("matrix"))
    with av.open(str(path), container_options={"protocol_whitelist": "file"}) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(decoded) == len(case.ticks)
    for sampling in (SOME, ALL):
        clip = load_video(path, sampling, BUDGET)
        frames = clip.frames.permute(0, 2, 3, 1).numpy()
        numbers = [number_in(frame) for frame in frames]
        times = np.array(clip.metadata["frames_indices"]) / clip.metadata["fps"]
        assert (numbers[0], numbers[-1]) == (0, len(case.ticks) - 1)
        np.testing.assert_allclose(times, np.array(case.ticks)[numbers] / FPS, atol=0.5 / FPS)
        np.testing.assert_array_equal(frames, np.stack([decoded[number] for number in numbers]))
    assert sorted(set(numbers)) == list(range(len(case.ticks)))
