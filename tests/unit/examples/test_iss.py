"""Following the station: positions from an API, speed and quadrant from positions."""

import itertools
import math

import pytest

from catena_core import Electron
from catena_core.testing import LinkDriver
from tests.helpers.examples import load
from tests.helpers.odd_server import odd_server
from tests.helpers.waiting import eventually

orbit, speed = load("iss/orbit"), load("iss/speed")
Source, Printer = load("iss/source").Source, load("iss/printer").Printer

QUARTER_OF_THE_EARTH = math.pi / 2 * speed.EARTH_RADIUS


def place(latitude, longitude, time=0):
    return {"time": time, "latitude": latitude, "longitude": longitude}


# The orbit


def test_the_orbit_begins_above_greenwich_and_reaches_the_inclination_after_a_quarter():
    assert orbit.position(0) == pytest.approx((0, 0))
    assert orbit.position(orbit.PERIOD / 4)[0] == pytest.approx(51.64)
    assert orbit.position(3 * orbit.PERIOD / 4)[0] == pytest.approx(-51.64)


def test_each_round_crosses_the_equator_further_west_by_what_the_earth_turned():
    latitude, longitude = orbit.position(orbit.PERIOD)

    assert latitude == pytest.approx(0, abs=1e-9)
    assert longitude == pytest.approx(-360 * orbit.PERIOD / orbit.SIDEREAL_DAY)
    assert longitude == pytest.approx(-23.3, abs=0.1)


def test_positions_of_a_day_are_on_the_earth_and_no_jump_is_among_them():
    positions = [place(*(*orbit.position(1.7e9 + second), second)) for second in range(0, 86_400, 10)]
    speeds = [speed.distance(one, other) / 10 for one, other in itertools.pairwise(positions)]

    assert all(abs(here["latitude"]) <= 51.64 + 1e-9 and -180 <= here["longitude"] < 180 for here in positions)
    assert min(speeds) > 6.8 and max(speeds) < 7.0  # kilometres per second


# Speed and quadrant


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (place(0, 0), place(0, 90), QUARTER_OF_THE_EARTH),
        (place(90, 0), place(0, 123), QUARTER_OF_THE_EARTH),
        (place(90, 0), place(-90, 77), 2 * QUARTER_OF_THE_EARTH),
        (
            place(10, 179.9995),
            place(10, -179.9995),
            math.radians(0.001) * math.cos(math.radians(10)) * speed.EARTH_RADIUS,
        ),
        (place(12, 34), place(12, 34), 0),
    ],
)
def test_distances_are_those_of_the_great_circle(one, other, expected):
    assert speed.distance(one, other) == pytest.approx(expected, rel=1e-6)


def test_speed_is_known_from_the_second_position_on():
    driver = LinkDriver(speed.Speed())
    driver.assign(("positions", 0))
    sent = [driver.transform(Electron("iss", place(0, east, time)))[0].value for east, time in ((0, 100), (1, 110))]

    assert [value["speed"] for value in sent] == [None, pytest.approx(QUARTER_OF_THE_EARTH / 90 / 10)]


def test_a_position_that_is_not_newer_is_passed_over():
    driver = LinkDriver(speed.Speed())
    driver.assign(("positions", 0))
    sent = [driver.transform(Electron("iss", place(0, time, time))) for time in (10, 10, 5, 20)]

    assert [len(electrons) for electrons in sent] == [1, 0, 0, 1]


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    [(1, 1, "north-east"), (1, -1, "north-west"), (-1, 1, "south-east"), (-1, -1, "south-west")],
)
def test_the_quadrant_is_told(latitude, longitude, expected):
    assert speed.quadrant(place(latitude, longitude)) == expected


def test_a_line_is_printed_for_each_position(capsys):
    value = {**place(-5.25, 120.5, 1_700_000_000), "speed": 6.9123, "quadrant": "south-east"}
    LinkDriver(Printer()).transform(Electron("iss", value))

    assert capsys.readouterr().out == (
        "2023-11-14 22:13:20 UTC   -5.2500°  120.5000°  south-east  6.91 km/s over ground\n"
    )


# The API


GOOD = {"message": "success", "timestamp": 1700000000, "iss_position": {"latitude": "-5.25", "longitude": "120.5"}}
BAD = {
    "an error": lambda request: request.say(b"", 503),
    "no JSON": lambda request: request.say(b"<html>"),
    "another shape": lambda request: request.say_json({"message": "success"}),
    "a place that is none": lambda request: request.say_json(
        {**GOOD, "iss_position": {"latitude": "91", "longitude": "0"}}
    ),
    "far too much": lambda request: request.say(b" " * 1_000_000),
}


@pytest.fixture
def server(monkeypatch):
    with odd_server() as server:
        monkeypatch.setenv("ISS_URL", f"{server.url}/iss-now.json")
        monkeypatch.setenv("ISS_INTERVAL", "0.02")
        yield server


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
def test_a_bad_answer_is_passed_over_and_the_next_one_counts(server, answer):
    def bad_at_first(request):
        if len(server.asked) <= 2:
            answer(request)
        else:
            request.say_json(GOOD)

    server.answers["/iss-now.json"] = bad_at_first
    source = Source()
    driver = LinkDriver(source)
    try:
        eventually(lambda: driver.sent)
    finally:
        source.stop()

    assert len(server.asked) >= 3
    assert driver.sent[0].value == {"time": 1700000000, "latitude": -5.25, "longitude": 120.5}
    assert (driver.sent[0].key, driver.sent[0].topic) == ("iss", "positions")
