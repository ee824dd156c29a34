"""How many wrong secrets an address may send before it has to wait."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from stack.runtime.guesses import Guesses


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_ten_wrong_guesses_are_free_and_the_next_has_to_wait() -> None:
    clock = Clock()
    guesses = Guesses(limit=10, seconds=60, clock=clock)

    assert [guesses.wrong("10.0.0.1") for _ in range(10)] == [0] * 10
    assert guesses.wrong("10.0.0.1") == guesses.blocked("10.0.0.1") == 60
    clock.now += 20.5
    assert guesses.blocked("10.0.0.1") == 40  # whole seconds, rounded up
    assert guesses.blocked("10.0.0.2") == guesses.wrong("10.0.0.2") == 0


def test_the_wait_ends_although_the_address_goes_on_guessing() -> None:
    clock = Clock()
    guesses = Guesses(limit=3, seconds=60, clock=clock)

    def each_second() -> Iterator[int]:
        for _ in range(600):
            yield guesses.wrong("10.0.0.1")
            clock.now += 1

    free = list(each_second()).count(0)

    assert free == 30  # three a minute, for ten minutes


def test_a_flood_of_addresses_takes_no_more_memory() -> None:
    guesses = Guesses(limit=2, remembered=100)
    for number in range(1000):
        guesses.wrong(f"10.0.{number // 256}.{number % 256}")

    assert len(guesses._callers) == 100


def test_guesses_of_many_threads_are_all_counted() -> None:
    guesses = Guesses(limit=100)
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: guesses.wrong("::1"), range(400)))

    assert waits.count(0) == 100


def test_a_network_of_ipv6_is_one_guesser_and_spellings_are_too() -> None:
    guesses = Guesses(limit=2)
    guesses.wrong("2001:db8:0:1::1")
    guesses.wrong("2001:db8:0:1:ffff::2")
    assert guesses.blocked("2001:DB8::1:0:0:0:9")
    assert not guesses.blocked("2001:db8:0:2::1")

    guesses.wrong("::ffff:192.0.2.1")
    guesses.wrong("192.0.2.1")
    assert guesses.blocked("192.0.2.1")
    assert not guesses.blocked("192.0.2.2")
    assert guesses.wrong("") == 0  # a socket of a file system has no address


def test_one_line_a_second_is_worth_the_log() -> None:
    clock = Clock()
    guesses = Guesses(clock=clock)

    told = []
    for _ in range(30):
        told.append(guesses.worth_a_line("10.0.0.1"))
        clock.now += 0.1
    assert told.count(True) == 3
    assert guesses.worth_a_line("10.0.0.2")
