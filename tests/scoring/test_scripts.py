"""Scripts: how they are found and checked, what happens when they do not load, decorators, and the end."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.scoring.conftest import Starter
    from tests.scoring.scoring_server import receive
else:
    from scoring_server import receive


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("def init(): raise LookupError('no model')\ndef run(data): pass\n", "LookupError: no model"),
        ("raise ImportError('broken')\n", "ImportError: broken"),
        ("import sys\nsys.exit(0)\n", "SystemExit: 0"),
        ("def init(:\n", "SyntaxError"),
        ("def run(data): pass\n", "does not have a init() function defined."),
        ("def init(): pass\n", "does not have a run() function defined."),
        ("def init(): pass\ndef run(): pass\n", "run() needs to accept an argument for input data."),
        ("def init(): pass\ndef run(request_headers): pass\n", 'run() needs to accept an argument other than "request_headers".'),
        ("def init(): pass\ndef run(*data): pass\n", "run() cannot accept positional-only arguments, *args, or **kwargs."),
        ("def init(): pass\ndef run(data, /): pass\n", "run() cannot accept positional-only arguments, *args, or **kwargs."),
    ],
)
def test_a_script_that_cannot_be_served_ends_the_server_with_code_3(serve: Starter, script: str, said: str) -> None:
    server = serve(script, ready=False)
    assert server.process.wait(10) == 3
    assert said in server.log()


def test_a_missing_script_and_a_bad_setting_end_it_too(serve: Starter) -> None:
    server = serve("", ready=False, AZUREML_ENTRY_SCRIPT="absent.py")
    assert server.process.wait(10) == 3 and "absent.py" in server.log()
    server = serve("", ready=False, SCORING_TIMEOUT_MS="soon")
    assert server.process.wait(10) == 3 and "SCORING_TIMEOUT_MS is 'soon'" in server.log()


def test_a_failed_init_lists_the_models(serve: Starter) -> None:
    server = serve("def init(): open('/absent')\ndef run(data): pass\n", ready=False)
    assert server.process.wait(10) == 3
    assert "Model Directory Contents:" in server.log() and "score.py" in server.log()


def test_connections_made_during_init_are_answered_after_it(serve: Starter) -> None:
    server = serve("import time\ndef init(): time.sleep(1)\ndef run(data): return 1\n", ready=False)
    end = time.monotonic() + 5
    while True:
        try:
            connection = server.connect()
            break
        except ConnectionRefusedError:
            assert time.monotonic() < end
            time.sleep(0.01)
    with connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert receive(connection).body == b"Healthy"
    assert "Users's init has completed successfully" in server.log()


def test_what_a_script_may_import(serve: Starter) -> None:
    script = "import beside, deeper\ndef init(): pass\ndef run(data): return [beside.V, deeper.V, __name__]\n"
    server = serve(script, ready=False, AZUREML_SOURCE_DIRECTORY="src")
    server.process.wait(10)
    (server.folder / "beside.py").write_text("V = 1\n")
    (server.folder / "src").mkdir()
    (server.folder / "src" / "deeper.py").write_text("V = 2\n")
    again = serve(script, AML_APP_ROOT=str(server.folder), AZUREML_SOURCE_DIRECTORY="src")
    assert again.ask(body="x").json() == [1, 2, "entry_module"]


def test_a_driver_module_stands_in_for_run_but_not_for_init(serve: Starter) -> None:
    script = (
        "import types\n"
        "driver_module = types.ModuleType('d')\n"
        "driver_module.run = lambda raw: ['driver', raw, seen]\n"
        "def init():\n    global seen\n    seen = 'init ran'\n"
        "def run(data): return 'never'\n"
    )
    assert serve(script).ask(body="x").json() == ["driver", "x", "init ran"]


SCHEMA = """
import sys, types
module = types.ModuleType("inference_schema.schema_util")
module.is_schema_decorated = lambda f: True
module.get_input_schema = lambda f: {"type": "object", "properties": {"data": {}}}
module.get_output_schema = lambda f: {"type": "array"}
module.get_supported_versions = lambda f: ["3.0", "3.1"]
sys.modules["inference_schema.schema_util"] = module
def init(): pass
def run(data, name="n"): return [data, name]
"""


def test_a_decorated_run_gets_named_arguments(serve: Starter) -> None:
    server = serve(SCHEMA)
    table = [
        (b'{"data": [1], "other": 2}', 200, [[1], "n"]),
        (b'{"data": NaN, "name": null}', 200, None),
        (b"", 400, "POST body is empty. Expecting a JSON dictionary."),
        (b"[1]", 400, "POST body should be a JSON dictionary."),
        (b"{}", 400, "A value is not provided for the 'data' parameter."),
        (b"{x", 400, "POST body could not be decoded as JSON: "),
    ]
    for body, status, expected in table:
        answer = server.ask(body=body)
        assert answer.status == status
        if status == 200 and expected is not None:
            assert answer.json() == expected
        elif status == 400:
            assert answer.message.startswith(str(expected))
            assert answer.fields["x-ms-run-function-failed"] == "False"
    assert server.ask(body=b'{"data": 1}', content_type="application/x+json; charset=utf-8").status == 200
    answer = server.ask(body=b'{"data": 1}', content_type="text/plain")
    assert (answer.status, answer.message) == (415, "Expects Content-Type to be application/json")
    assert server.ask("GET", "/score?data=%5B1%5D&name=x").json() == [[1], "x"]
    answer = server.ask("GET", "/swagger.json")
    assert answer.status == 404 and "Supported swagger versions: [3, 3.1]" in answer.message
    described = server.ask("GET", "/swagger.json?version=3.1").json()
    assert isinstance(described, dict) and described["components"]["schemas"]["ServiceOutput"] == {"type": "array"}


def test_the_end_lets_what_has_begun_be_answered(serve: Starter) -> None:
    server = serve("import time\ndef init(): pass\ndef run(data):\n    time.sleep(0.5)\n    return data\n")
    with server.connect() as first, server.connect() as second, server.connect():
        for connection in (first, second):
            connection.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
        time.sleep(0.15)
        server.process.send_signal(signal.SIGTERM)
        for connection in (first, second):
            answer = receive(connection)
            assert (answer.json(), answer.fields["connection"]) == ("x", "close")
    assert server.process.wait(10) == 0
    with pytest.raises(ConnectionRefusedError):
        server.connect()


def test_an_idle_server_ends_at_once_even_with_connections_kept(serve: Starter) -> None:
    server = serve("def init(): pass\ndef run(data): return data\n")
    began = time.monotonic()
    assert server.stop() == 0 and time.monotonic() - began < 1
    other = serve("def init(): pass\ndef run(data): return data\n")
    with other.connect() as kept:
        kept.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert receive(kept).status == 200
        assert other.stop() == 0


def test_the_end_during_init_is_no_failure_to_load(serve: Starter) -> None:
    server = serve("import time\ndef init(): time.sleep(20)\ndef run(data): return 1\n", ready=False)
    server.logged("Invoking user's init function")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(10) == 0
