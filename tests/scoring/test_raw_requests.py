"""@rawhttp and responses that a script builds itself, with stand-ins of the packages that the user's environment has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.scoring.conftest import Starter

PACKAGES = {
    "azureml_inference_server_http/__init__.py": "",
    "azureml_inference_server_http/api/__init__.py": "print('loaded the package')",
    "azureml_inference_server_http/api/aml_request.py": (
        "_rawHttpRequested = False\n"
        "def rawhttp(function):\n    global _rawHttpRequested\n    _rawHttpRequested = True\n    return function\n"
    ),
    "azureml_inference_server_http/api/aml_response.py": (
        "from werkzeug.wrappers import Response\nclass AMLResponse(Response): pass\n"
    ),
    "flask.py": "class Request:\n    def __init__(self, environ): self.environ = environ\n",
    "werkzeug/__init__.py": "",
    "werkzeug/wrappers.py": (
        "class Headers(dict): pass\n"
        "class Response:\n"
        "    def __init__(self, body, status, headers=()):\n"
        "        self.body, self.status_code, self.headers = body, status, Headers(headers)\n"
        "    def get_data(self): return self.body.encode()\n"
    ),
}

RAW = """
from azureml.contrib.services.aml_request import rawhttp
from azureml.contrib.services.aml_response import AMLResponse
def init(): pass
@rawhttp
def run(request):
    environ = request.environ
    body = environ["wsgi.input"].read().decode()
    if body == "fail":
        return AMLResponse("no", 503, {"x-ms-run-function-failed": "False"})
    seen = [environ["REQUEST_METHOD"], environ["QUERY_STRING"], environ.get("CONTENT_TYPE"), environ.get("HTTP_X_A"), body]
    return AMLResponse(repr(seen), 499, {"Content-Type": "text/x", "X-B": "b\\r\\nEvil: 1", "Content-Length": "9"})
"""


def packages(folder: Path) -> str:
    for name, text in PACKAGES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder)


def test_a_raw_script_gets_the_request_and_answers_as_it_likes(serve: Starter, tmp_path: Path) -> None:
    server = serve(RAW, PYTHONPATH=f"{packages(tmp_path / 'site')}:{Path(__file__).resolve().parents[2] / 'src'}")
    answer = server.ask("POST", "/score?q=1", "body", X_A="a", content_type="text/y")
    assert answer.line == "HTTP/1.1 499 UNKNOWN"
    assert answer.body == b"['POST', 'q=1', 'text/y', 'a', 'body']"
    assert answer.fields["content-type"] == "text/x" and answer.fields["x-b"].startswith("b") and "evil" not in answer.fields
    assert "x-ms-run-function-failed" not in answer.fields and "x-ms-run-fn-exec-ms" in answer.fields
    for method in ("GET", "OPTIONS", "HEAD"):
        assert server.ask(method, "/score").status == 499, "every method reaches run()"
    failed = server.ask(body="fail")
    assert (failed.status, failed.fields["x-ms-run-function-failed"], failed.body) == (503, "True", b"no")


def test_a_script_that_asks_for_none_of_it_loads_none_of_it(serve: Starter, tmp_path: Path) -> None:
    plain = "import sys\ndef init(): pass\ndef run(data): return sorted({'flask', 'werkzeug'} & set(sys.modules))\n"
    server = serve(plain, PYTHONPATH=f"{packages(tmp_path / 'site')}:{Path(__file__).resolve().parents[2] / 'src'}")
    assert server.ask(body="x").json() == [] and "loaded the package" not in server.log()
