"""JSON-RPC 2.0 over HTTP: the examples of the specification, its rules, and what is refused."""

import datetime
import json
import socket
import threading

import pytest
import requests

from catena_core.errors import UsageError
from catena_core.monitoring.logs import LinkLogger
from catena_core.rpc import Methods, rpc
from catena_core.rpc.http import MAX_BODY_BYTES, HttpServer
from catena_core.rpc.json_rpc import MAX_BATCH_LENGTH


class Calculator:
    def __init__(self):
        self.notified = []
        self.under_way, self.go_on = threading.Event(), threading.Event()

    @rpc
    def subtract(self, minuend, subtrahend):
        """Take one number from another."""
        return minuend - subtrahend

    @rpc
    def sum(self, *numbers):
        return sum(numbers)

    @rpc
    def get_data(self):
        return ["hello", 5]

    @rpc
    def update(self, *args):
        self.notified.append(("update", *args))

    @rpc
    def notify_hello(self, number):
        self.notified.append(("notify_hello", number))

    @rpc
    def caller(self, context, greeting="hello"):
        return [context.uid, context.group, context.address, greeting]

    @rpc
    def today(self):
        return {"date": datetime.date(2024, 2, 29), "pair": (1, 2)}

    @rpc
    def unsendable(self):
        return object()

    @rpc
    def slow(self):
        self.under_way.set()
        self.go_on.wait(300)
        return "done"


@pytest.fixture
def calculator():
    return Calculator()


@pytest.fixture
def server(calculator):
    server = HttpServer(Methods(calculator, LinkLogger("Calculator")), 0)
    yield server
    calculator.go_on.set()
    server.close()


@pytest.fixture
def post(server):
    def send(body, **options):
        data = body if isinstance(body, str | bytes) else json.dumps(body)
        return requests.post(f"http://127.0.0.1:{server.port}/", data=data, timeout=120, **options)

    return send


def without_reasons(response):
    """Read a response as the specification shows it: without the parts that it leaves to servers."""
    for one in response if isinstance(response, list) else [response]:
        one.get("error", {}).pop("data", None)
    return response


def error(code, message, request_id=None):
    return {"jsonrpc": "2.0", "error": {"code": code, "message": message}, "id": request_id}


PARSE_ERROR = error(-32700, "Parse error")
INVALID_REQUEST = error(-32600, "Invalid Request")

# https://www.jsonrpc.org/specification#examples, with names of methods that Python allows ("get", "foobar" do not exist)
EXAMPLES = {
    "positional parameters": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}',
        {"jsonrpc": "2.0", "result": 19, "id": 1},
    ),
    "positional parameters, the other way": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}',
        {"jsonrpc": "2.0", "result": -19, "id": 2},
    ),
    "named parameters": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
        {"jsonrpc": "2.0", "result": 19, "id": 3},
    ),
    "named parameters, the other way": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}',
        {"jsonrpc": "2.0", "result": 19, "id": 4},
    ),
    "a notification": ('{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', None),
    "a notification of an unknown method": ('{"jsonrpc": "2.0", "method": "foobar"}', None),
    "an unknown method": (
        '{"jsonrpc": "2.0", "method": "foobar", "id": "1"}',
        error(-32601, "Method not found", "1"),
    ),
    "invalid JSON": ('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', PARSE_ERROR),
    "an invalid request": ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', INVALID_REQUEST),
    "a batch of invalid JSON": (
        '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method"]',
        PARSE_ERROR,
    ),
    "an empty batch": ("[]", INVALID_REQUEST),
    "an invalid batch that is not empty": ("[1]", [INVALID_REQUEST]),
    "an invalid batch": ("[1,2,3]", [INVALID_REQUEST] * 3),
    "a batch": (
        """[
        {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
        {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
        ]""",
        [
            {"jsonrpc": "2.0", "result": 7, "id": "1"},
            {"jsonrpc": "2.0", "result": 19, "id": "2"},
            INVALID_REQUEST,
            error(-32601, "Method not found", "5"),
            {"jsonrpc": "2.0", "result": ["hello", 5], "id": "9"},
        ],
    ),
    "a batch of notifications": (
        '[{"jsonrpc": "2.0", "method": "update", "params": [1]}, {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}]',
        None,
    ),
}


@pytest.mark.parametrize(("body", "expected"), EXAMPLES.values(), ids=EXAMPLES.keys())
def test_the_examples_of_the_specification(post, body, expected):
    response = post(body)
    if expected is None:
        assert (response.status_code, response.content) == (204, b"")
    else:
        assert response.status_code == 200 and response.headers["Content-Type"] == "application/json"
        assert without_reasons(response.json()) == expected


@pytest.mark.parametrize(
    ("changes", "code", "request_id"),
    [
        ({"jsonrpc": "1.0"}, -32600, 1),
        ({"jsonrpc": 2.0}, -32600, 1),
        ({"method": None}, -32600, 1),
        ({"params": "text"}, -32600, 1),
        ({"params": None}, -32600, 1),
        ({"id": True}, -32600, None),
        ({"id": [1]}, -32600, None),
        ({"id": "text", "params": [1]}, -32602, "text"),
        ({"id": 1.5, "params": {"minuend": 1}}, -32602, 1.5),
        ({"id": None, "params": ["a", 1]}, -32603, None),
        ({"method": "rpc.discover"}, -32601, 1),
        ({"method": "__init__"}, -32601, 1),
        ({"method": "unsendable", "params": []}, -32603, 1),
    ],
)
def test_what_breaks_a_rule_is_answered_with_its_code_and_its_id(post, changes, code, request_id):
    response = post({"jsonrpc": "2.0", "method": "subtract", "params": [2, 1], "id": 1, **changes}).json()
    assert (response["error"]["code"], response["id"]) == (code, request_id)
    assert response["error"]["data"]


def test_notifications_are_run_and_never_answered_even_when_they_fail(post, calculator):
    assert post({"jsonrpc": "2.0", "method": "update", "params": [1, 2]}).status_code == 204
    assert post({"jsonrpc": "2.0", "method": "notify_hello", "params": []}).content == b""
    assert calculator.notified == [("update", 1, 2)]


def test_a_request_with_the_id_null_is_no_notification(post):
    response = post({"jsonrpc": "2.0", "method": "subtract", "params": [2, 1], "id": None})
    assert response.json() == {"jsonrpc": "2.0", "result": 1, "id": None}


def test_values_that_json_lacks_are_written_as_text_and_arrays(post):
    assert post({"jsonrpc": "2.0", "method": "today", "id": 1}).json()["result"] == {
        "date": "2024-02-29",
        "pair": [1, 2],
    }


def test_a_method_is_told_that_its_caller_came_over_http(post):
    response = post({"jsonrpc": "2.0", "method": "caller", "params": {"greeting": "hi"}, "id": 1})
    assert response.json()["result"] == ["http", "http", "127.0.0.1", "hi"]


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 100_000, b"{" * 1000, b'{"a": "\\ud800"}', b"1e999"])
def test_what_is_no_json_is_a_parse_error(post, body):
    assert without_reasons(post(body).json()) == PARSE_ERROR


def test_bodies_and_batches_are_bounded(post):
    assert post(b" " * (MAX_BODY_BYTES + 1)).status_code == 413
    one = {"jsonrpc": "2.0", "method": "get_data", "id": 1}
    assert len(post([one] * MAX_BATCH_LENGTH).json()) == MAX_BATCH_LENGTH
    assert without_reasons(post([one] * (MAX_BATCH_LENGTH + 1)).json()) == INVALID_REQUEST


def test_web_pages_cannot_call(post, calculator):
    request = {"jsonrpc": "2.0", "method": "update", "params": [1]}
    assert post(request, headers={"Origin": "http://example.org", "Content-Type": "text/plain"}).status_code == 403
    assert not calculator.notified


def test_the_methods_are_listed_with_signatures_and_docstrings(server):
    listed = requests.get(f"http://127.0.0.1:{server.port}/", timeout=120).json()
    assert listed["subtract"] == {
        "signature": "subtract(minuend, subtrahend)",
        "description": "Take one number from another.",
    }
    assert listed["caller"]["signature"] == "caller(greeting='hello')"


def test_other_places_and_verbs_say_where_to_go(server):
    for verb, path, status in (("get", "/methods", 404), ("put", "/", 405)):
        response = requests.request(verb, f"http://127.0.0.1:{server.port}{path}", timeout=120)
        assert response.status_code == status and "POST /" in response.json()["error"]["data"]


def test_requests_are_run_side_by_side(post, calculator):
    answers = []
    slow = threading.Thread(target=lambda: answers.append(post({"jsonrpc": "2.0", "method": "slow", "id": 1}).json()))
    slow.start()
    assert post({"jsonrpc": "2.0", "method": "get_data", "id": 2}).json()["result"] == ["hello", 5]
    assert not answers
    calculator.go_on.set()
    slow.join(120)
    assert answers[0]["result"] == "done"


def test_the_server_ends_with_what_is_under_way_and_frees_its_port(server, post, calculator):
    answers = []
    slow = threading.Thread(target=lambda: answers.append(post({"jsonrpc": "2.0", "method": "slow", "id": 1}).json()))
    slow.start()
    assert calculator.under_way.wait(120)
    threading.Timer(0.3, calculator.go_on.set).start()
    server.close()
    slow.join(120)
    assert answers[0]["result"] == "done"
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{server.port}/", timeout=60)
    again = HttpServer(Methods(calculator, LinkLogger("Calculator")), server.port)
    again.close()


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}"):
            HttpServer(Methods(Calculator(), LinkLogger("Calculator")), port)
