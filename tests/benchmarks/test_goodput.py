"""The accounting of goodput: made-up lives of which each second is known."""

import pytest

from benchmarks.goodput_accounting import PARTS, Life, account, cost, goodput, life_of, seconds, summary

# A first life of 100 s, one that dies before it is restored, one that dies before a checkpoint, one that ends well.
LIVES = [
    Life(100, compiled=10, restored=(0, 12), reached=[(1, 13), (50, 40), (90, 70), (120, 95)]),
    Life(3),
    Life(5, compiled=4),
    Life(30, compiled=4, restored=(90, 6), reached=[(91, 8), (110, 25)]),
    Life(60, compiled=4, restored=(90, 7), reached=[(91, 9), (200, 50)]),
]


def test_each_second_is_of_one_kind():
    rows = account(LIVES)
    assert [tuple(row[part] for part in PARTS) for row in rows] == [
        (10, 2, 58, 30),  # step 90, from which the others go on, was there at 70
        (3, 0, 0, 0),
        (4, 1, 0, 0),
        (4, 2, 0, 24),  # nothing of it was saved
        (4, 3, 53, 0),
    ]
    assert seconds(rows) == sum(life.ended for life in LIVES)
    assert goodput(rows) == (58 + 53) / 198


def test_a_sweep_killed_regularly_has_the_goodput_of_its_closed_form():
    """Starts of 6 s, restores of 1 s, checkpoints every 10 s, kills every 120 s, always 4 s after a checkpoint."""
    lives, step = [], 0
    for _ in range(20):
        reached = [(step + second, 7.0 + second) for second in range(1, 114)]
        lives.append(Life(120.0, compiled=6.0, restored=(step, 7.0), reached=reached))
        step += 109
    lives.append(Life(120.0, compiled=6.0, restored=(step, 7.0), reached=[(step + 113, 120.0)]))
    rows = account(lives)
    assert goodput(rows) == pytest.approx(1 - (21 * 7 + 20 * 4) / (21 * 120))
    assert cost(rows, rows[:-1]) == {"start-up": 6, "restore": 1, "lost": 4}
    assert summary(rows, rows[:-1])["goodput_at_a_kill_every_600_s"] == pytest.approx(1 - 11 / 600)


def test_a_life_is_read_from_its_notes_on_either_clock():
    def note(name, wall, processor, **more):
        return {"name": name, "wall": wall, "processor": processor} | more

    notes = [
        note("started", 0.1, 0.05),
        note("compiled", 5.0, 4.0),
        note("restored", 6.0, 4.5, step=30),
        note("saved", 6.5, 4.6, saving=0.4),
        note("reached", 9.0, 6.0, step=31),
        note("ended", 9.5, 6.2),
    ]
    assert life_of(notes, "wall") == Life(9.5, 5.0, (30, 6.0), [(31, 9.0)])
    assert life_of(notes, "processor") == Life(6.2, 4.0, (30, 4.5), [(31, 6.0)])
    assert life_of(notes[:1], "wall") == Life(0.0)
