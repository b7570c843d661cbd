"""The worlds: what is valid, what is drawn, what is seen."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from curriculum.sheet.bounds import ABOVE_ZERO
from curriculum.tasks.e2c.streams import DATA, SECOND_NOISE
from curriculum.tasks.e2c.worlds.pendulum import FASTEST, STEP, Pendulum, PendulumSettings, move
from curriculum.tasks.e2c.worlds.plane import Plane, PlaneSettings
from curriculum.train.streams import generator


def plane(**given) -> Plane:
    return Plane(PlaneSettings(**given))


def draw(world, bound, batch=4000, horizon=1, step=0):
    states, actions = world.draw([generator(1, DATA, step)], np.array([bound], dtype=float), batch, horizon)
    return states[0], actions[0]


def seen(world, states) -> np.ndarray:
    images = world.render(torch.tensor(np.asarray(states), dtype=torch.float64))
    return images.unflatten(-1, (world.frames, world.size, world.size)).numpy()


def test_streams_are_entered_anywhere_and_do_not_meet():
    later = generator(5, DATA, 7).random(1000)
    generator(5, DATA, 6).random(10_000)
    assert np.array_equal(generator(5, DATA, 7).random(1000), later)
    others = [(6, DATA, 7), (5, SECOND_NOISE, 7), (5, DATA, 8), (2**63 - 1, DATA, 7)]
    for other in others:
        assert abs(np.corrcoef(generator(*other).random(1000), later)[0, 1]) < 0.15


def test_the_published_plane_has_1150_places():
    world = plane(size=40, agent_half=1.5, obstacles=True)
    assert len(world.lattice) == 1150
    assert len(plane(size=40, agent_half=1.5, obstacles=True, collision="lenient").lattice) > 1300


def test_an_obstacle_is_avoided_by_the_square_not_by_its_centre():
    world = plane(size=40, agent_half=1.5, obstacles=True)
    # The disc at (10.5, 20.5) has a radius of 2.5: a square of half-width 1.5 clears it from 4 on.
    assert world.valid(np.array([[10.5, 20.5 + 4.0], [10.5, 20.5 + 3.99], [1.49, 20.0], [38.5, 38.5]])).tolist() == [
        True,
        False,
        False,
        True,
    ]
    lenient = plane(size=40, agent_half=1.5, obstacles=True, collision="lenient")
    assert lenient.valid(np.array([[10.5, 20.5 + 3.0], [10.5, 20.5 + 1.4]])).tolist() == [True, False]


@pytest.mark.parametrize("half", [1.0, 1.5, 3.0])
def test_whole_positions_give_images_of_black_and_white_only(half):
    world = plane(size=12, agent_half=half)
    images = seen(world, world.lattice)
    assert set(np.unique(images)) == {0.0, 1.0}
    assert (images.sum((1, 2, 3)) == (2 * half) ** 2).all()
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(world.lattice)


@settings(deadline=None, max_examples=50)
@given(st.floats(1, 11), st.floats(1, 11))
def test_a_position_between_pixels_is_drawn_by_its_area_and_can_be_read_back(row, column):
    world = plane(size=12, agent_half=1, positions="continuous")
    image = seen(world, [[row, column]])[0, 0]
    assert image.sum() == pytest.approx(4)
    middle = np.arange(12) + 0.5
    assert image.sum(1) @ middle / 4 == pytest.approx(row)
    assert image.sum(0) @ middle / 4 == pytest.approx(column)


def test_obstacles_and_the_agent_are_both_seen():
    world = plane(size=40, agent_half=1.5, obstacles=True)
    image = seen(world, [[38.5, 38.5]])[0, 0]
    assert image[20, 5] == image[10, 20] == image[39, 39] == 1
    assert image[0, 0] == 0


@pytest.mark.parametrize("given", [{}, {"obstacles": True, "size": 20}, {"positions": "continuous"}])
def test_paths_stay_where_the_agent_may_be_and_moves_within_their_bound(given):
    world = plane(**given)
    states, actions = draw(world, 3, horizon=4)
    assert world.valid(states).all()
    np.testing.assert_allclose(np.diff(states, axis=1), actions)
    assert np.abs(actions).max() == pytest.approx(3, abs=0.01)


def test_moves_are_even_over_all_that_are_valid():
    world = plane(size=8, agent_half=1)
    states, actions = draw(world, 2, batch=60_000)
    corner = (states[:, 0] == (1, 1)).all(1)
    kinds, counts = np.unique(actions[corner, 0], axis=0, return_counts=True)
    assert len(kinds) == 9  # 0, 1 or 2 down and right
    assert counts.min() > 0.8 * counts.mean()
    _, starts = np.unique(states[:, 0], axis=0, return_counts=True)
    assert len(starts) == len(world.lattice)
    assert starts.min() > 0.8 * starts.mean()


def test_positions_of_any_kind_are_drawn_by_the_law_of_rejection():
    world = plane(size=8, agent_half=1, positions="continuous")
    states, actions = draw(world, 2.0, batch=60_000)
    # Next to the left side only moves to the right are left, and these are even.
    left = states[:, 0, 1] < 1.2
    across = actions[left, 0, 1]
    assert across.mean() == pytest.approx((2 - 0.1) / 2, abs=0.05)
    assert states[:, 0].mean() == pytest.approx(4, abs=0.05)


@pytest.mark.parametrize("positions", ["integer", "continuous"])
def test_a_batch_does_not_depend_on_those_drawn_beside_it(positions):
    world = plane(positions=positions)
    many = [generator(seed, DATA, 3) for seed in (4, 5, 6)]
    together = world.draw(many, np.array([2.0, 5.0, 3.0]), 50, 2)
    alone = world.draw([generator(5, DATA, 3)], np.array([5.0]), 50, 2)
    np.testing.assert_array_equal(together[0][1], alone[0][0])
    np.testing.assert_array_equal(together[1][1], alone[1][0])


def test_a_longer_horizon_keeps_the_first_step():
    world = plane()
    np.testing.assert_array_equal(draw(world, 3, horizon=5)[0][:, :2], draw(world, 3, horizon=1)[0])


@pytest.mark.parametrize(
    ("given", "least"),
    [({}, 1), ({"positions": "continuous"}, ABOVE_ZERO), ({"size": 10, "agent_half": 2, "obstacles": True}, 6)],
)
def test_the_smallest_largest_action_leaves_a_move_to_choose(given, least):
    world = plane(**given)
    assert world.bounds == (least, world.size)
    if least >= 1:
        assert draw(world, least)[1].any()
        assert not draw(world, least - 1e-6)[1].any()


def test_the_lattice_has_all_its_edges_and_cells():
    atlas = plane(size=6, agent_half=1).atlas  # 5 x 5 places
    assert (len(atlas.states), len(atlas.edges), len(atlas.cells)) == (25, 40, 16)
    steps = np.abs(atlas.states[atlas.edges[:, 0]] - atlas.states[atlas.edges[:, 1]])
    assert (steps.sum(1) == 1).all()
    corner, below, right = atlas.states[atlas.cells.T]
    assert (below - corner == (1, 0)).all()
    assert (right - corner == (0, 1)).all()
    assert {tuple(atlas.states[index]) for index in atlas.corners} == {(1, 1), (1, 5), (5, 1), (5, 5)}


def test_a_pendulum_falls_and_its_energy_is_kept_without_a_torque():
    fine = np.array([[0.5, 0.0]])
    assert move(fine, np.zeros(1))[0, 1] > 0
    assert move(np.array([[0.0, 0.0]]), np.zeros(1)).tolist() == [[0.0, 0.0]]
    # E = w^2 / 6 + 5 cos(angle) for m = l = 1, g = 10; semi-implicit Euler lets it swing, not drift.
    state, energies = np.array([[2.5, 0.0]]), []
    for _ in range(400):
        energies.append(float(state[0, 1] ** 2 / 6 + 5 * np.cos(state[0, 0])))
        state = move(state, np.zeros(1))
    assert max(energies) - min(energies) < 0.5
    assert np.mean(energies[:200]) == pytest.approx(np.mean(energies[200:]), abs=0.1)


def test_a_torque_moves_a_pendulum_by_its_share_and_speed_is_bounded():
    moved = move(np.array([[0.0, 0.0], [0.0, 7.99]]), np.array([2.0, 2.0]))
    assert moved[0] == pytest.approx([STEP * STEP * 6, STEP * 6])
    assert moved[1, 1] == FASTEST


def test_two_states_of_a_pendulum_share_a_frame():
    world = Pendulum(PendulumSettings(size=24))
    states, actions = draw(world, 2.0, batch=50)
    before, after = seen(world, states[:, 0]), seen(world, states[:, 1])
    np.testing.assert_allclose(before[:, 1], after[:, 0], atol=1e-9)
    assert np.abs(actions).max() <= 2


def test_an_upright_pendulum_is_drawn_upwards_and_turns_to_the_right():
    world = Pendulum(PendulumSettings(size=24))
    upright, right = seen(world, [[0.0, 0.0], [np.pi / 2, 0.0]])[:, 1]
    rows, columns = np.indices((24, 24)) + 0.5
    assert (upright * rows).sum() / upright.sum() < 9
    assert (upright * columns).sum() / upright.sum() == pytest.approx(12)
    assert (right * columns).sum() / right.sum() > 15
