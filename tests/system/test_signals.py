"""Which signals are one wish to stop, and which are two."""

import signal

import pytest

from collapse_jax.system import signals


@pytest.fixture
def clock(monkeypatch):
    """Give the signals a clock that stands still until the test moves it."""
    now = [100.0]
    monkeypatch.setattr(signals.time, "monotonic", lambda: now[0])
    return now


TERM, INT = signal.SIGTERM, signal.SIGINT


@pytest.mark.parametrize(
    ("first", "second", "seconds", "one_wish"),
    [
        (INT, TERM, 0.9, True),  # Ctrl-C, and the script that hands it on
        (TERM, INT, 0.0, True),
        ("SIGTERM of process 1", TERM, 0.5, True),  # a job that is preempted as a whole
        (INT, TERM, 1.1, False),
        (INT, INT, 0.1, False),  # Ctrl-C twice
        (TERM, TERM, 0.1, False),
        ("SIGTERM of process 1", TERM, 1.1, False),
    ],
)
def test_two_signals_of_different_kinds_within_a_second_are_one(clock, first, second, seconds, one_wish):
    stop = signals.Stop()
    (stop.ask if isinstance(first, str) else stop.act)(first)
    clock[0] += seconds
    if one_wish:
        stop.act(second)
    else:
        with pytest.raises(KeyboardInterrupt, match="what was saved before is good"):
            stop.act(second)
    assert stop.hurried is not one_wish
    assert stop.requested == (first if isinstance(first, str) else first.name)


def test_after_an_echo_one_more_signal_is_the_second(clock):
    stop = signals.Stop()
    stop.act(INT)
    stop.act(TERM)
    clock[0] += 5
    with pytest.raises(KeyboardInterrupt):
        stop.act(INT)


def test_a_terminal_that_goes_away_is_a_wish_to_stop_unless_nohup_ignores_it():
    before = signal.getsignal(signal.SIGHUP)
    try:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with signals.listening() as stop:
            signal.raise_signal(signal.SIGHUP)
        assert stop.requested == "SIGHUP"
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with signals.listening() as stop:
            signal.raise_signal(signal.SIGHUP)
        assert stop.requested is None
    finally:
        signal.signal(signal.SIGHUP, before)
