"""What cannot run as a trainable is refused before anything runs: by its source, or imported."""

from __future__ import annotations

import os
import queue
import sys
from pathlib import Path

import click
import pytest
from support import commands
from support.folder import Folder, environment

import orchestrator
from orchestrator import run
from orchestrator.errors import TrainableError
from orchestrator.running import preflight

FUNCTION = "a trainable is a function of (params, trial) that yields, reports or returns metrics"
GOOD = "def train(params, trial):\n    yield {'score': 1.0}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A working folder with a sweep of `fit:train`."""
    folder = Folder(tmp_path, environment())
    sweep_of(folder, "fit:train")
    return folder


def sweep_of(folder: Folder, trainable: str) -> None:
    """Write `fit.yaml`, a sweep of one trial."""
    folder.write("fit", trainable=trainable, seeds=[0], factors={"x": [1]}, search={}, fixed={})


def write(folder: Folder, source: str, name: str = "fit.py") -> None:
    path = folder.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)


def refusal(folder: Folder, *command: str) -> str:
    """Return what a command says about the trainable, which it refuses with the file's line."""
    done = folder.orch(*command, "fit.yaml", code=2)
    assert done.stdout == ""
    assert not (folder.path / "results").exists()
    place, _, said = done.stderr.partition(": `trainable`: ")
    assert place == "error: fit.yaml: line 2"
    return said


INLINE = ("sweep", "--runner", "inline")

# By the source.

UNFIT = {
    "a class": ("class train:\n    pass", "`train` is a class; "),
    "an async function": ("async def train(params, trial):\n    return 1", "is an `async def`"),
    "an async generator": ("async def train(params, trial):\n    yield {}", "is an `async def`"),
    "no parameters": ("def train():\n    return 1", "with (params, trial): it takes ();"),
    "one parameter": ("def train(cfg):\n    return 1", "with (params, trial): it takes (cfg);"),
    "three parameters": ("def train(a, b, c):\n    yield c", "it takes (a, b, c);"),
    "a keyword that it needs": ("def train(a, b, *, c):\n    yield c", "it takes (a, b, *, c);"),
    "nothing": ("def train(params, trial):\n    pass", "nor uses `trial`, and so has no metrics;"),
    "a bare return": ("def train(p, t):\n    if p:\n        return\n    print(p)", "nor uses `t`"),
    "a returned None": ("def train(params, trial):\n    return None", "nor returns a value"),
    "what only a function inside of it does": (
        "def train(params, trial):\n    def f():\n        yield 1\n        return 2\n    f()",
        "neither yields",
    ),
    "what only a class or lambda inside of it does": (
        "def train(params, trial):\n"
        "    class A:\n        def b(self):\n            return 1\n"
        "    lambda: (yield 1)",
        "neither yields",
    ),
    "another name": ("def trian(params, trial): ...", "of fit `train`; did you mean `trian`?"),
    "no name": ("import os\nclass A: ...\nLR = 1", "unknown function of fit `train` (known: LR)"),
    "a syntax error": ("x = 1\ndef train(:", "fit.py, line 2: SyntaxError: invalid syntax"),
    "an unknown encoding": ("# coding: none\n" + GOOD, "fit.py, line 1: SyntaxError: "),
}


@pytest.mark.parametrize(("source", "said"), UNFIT.values(), ids=UNFIT)
def test_a_source_that_shows_no_trainable_is_refused_by_plan(
    folder: Folder, source: str, said: str
) -> None:
    write(folder, source)
    assert said in refusal(folder, "plan")


FIT = {
    "a generator": GOOD,
    "a generator that yields from another": "def train(p, t):\n    yield from other()",
    "a value": "def train(params, trial):\n    return {'score': 1}",
    "a value that may be none": "def train(params, trial):\n    return run() or None",
    "a report": "def train(params, trial):\n    trial.report(score=1)",
    "a report in a callback": (
        "def train(p, trial):\n    def end(logs):\n        trial.report(logs)\n    fit(end)"
    ),
    "trial handed on": "def train(params, t):\n    fit(lambda logs: t.report(logs))",
    "all locals handed on": "def train(params, trial):\n    fit(**locals())",
    "more with defaults": "def train(params, trial, lr=1, *, wd=0, **more):\n    yield {}",
    "defaults alone": "def train(params=None, trial=None):\n    yield {}",
    "any arguments": "def train(*args, **more):\n    fit(*args)",
    "trial among any arguments": "def train(params, *rest):\n    fit(rest[0])",
    "positional arguments": "def train(params, trial, /):\n    yield {}",
}
OUT_OF_SIGHT = {
    "decorated": "import lib\n@lib.entry\ndef train():\n    pass",
    "a decorated class": "import lib\n@lib.entry\nclass train:\n    pass",
    "a partial": "from functools import partial\ndef main(): ...\ntrain = partial(main)",
    "imported": "from lib import main as train",
    "imported with all others": "from lib import *",
    "conditional": "if debug:\n    def train(): ...",
    "one of two": "def train(): ...\nif debug:\n    from lib import train",
    "bound again": "def train(): ...\ntrain = wrap(train)",
    "bound by a function": "def train(): ...\ndef setup():\n    global train\n    train = 1",
    "bound by a with": "with lib.open() as train: ...",
    "bound by a for": "for train in lib.all(): ...",
    "bound by a match": "match lib:\n    case [*train]: ...",
    "made on demand": "def __getattr__(name): ...",
    "among the globals": "globals()['train'] = 1",
    "replaced module": "import sys\nsys.modules[__name__] = 1",
}


@pytest.mark.parametrize(
    "source", [*FIT.values(), *OUT_OF_SIGHT.values()], ids=[*FIT, *OUT_OF_SIGHT]
)
def test_what_may_be_a_trainable_is_planned(folder: Folder, source: str) -> None:
    write(folder, source)
    folder.orch("plan", "fit.yaml")


def test_plan_sweep_and_run_refuse_alike(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, "class train: ...")
    said = f"`train` is a class; {FUNCTION}\n"
    assert [refusal(folder, *command) for command in (("plan",), ("sweep",), INLINE)] == [said] * 3
    monkeypatch.chdir(folder.path)
    for runner in ("tune", "inline"):
        with pytest.raises(TrainableError, match="`train` is a class"):
            run("fit.yaml", runner=runner)
    assert not Path("results").exists()


@pytest.mark.parametrize("parameters", ["", "args=None", "*, args=None"])
def test_the_main_function_of_a_script_is_pointed_to_command(
    folder: Folder, parameters: str
) -> None:
    write(folder, "", "lab/__init__.py")
    write(folder, f"def main({parameters}):\n    return 1", "lab/fit.py")
    sweep_of(folder, "lab.fit:main")
    assert refusal(folder, "plan") == (
        f"`main` cannot be called with (params, trial): it takes ({parameters}); {FUNCTION}; "
        "a script runs as it stands with `command: [python, lab/fit.py, ...]` instead\n"
    )


# Which file.


def test_a_module_of_a_package_that_does_not_exist_is_named(folder: Folder) -> None:
    write(folder, "", "lab/__init__.py")
    write(folder, GOOD, "lab/fit.py")
    sweep_of(folder, "lab.fti:train")
    assert refusal(folder, "plan") == (
        "unknown module of lab `fti`; did you mean `fit`? (known: fit)\n"
    )
    sweep_of(folder, "lab.fit.inner:train")
    assert refusal(folder, "plan").startswith("`lab.fit` is a module and no package")


@pytest.mark.parametrize("path", ["lab/inner/fit.py", "lab/fit.py"])
def test_packages_without_init_are_found(folder: Folder, path: str) -> None:
    write(folder, GOOD, path)
    sweep_of(folder, path.removesuffix(".py").replace("/", ".") + ":train")
    folder.orch(*INLINE, "fit.yaml")


def test_a_package_that_looks_elsewhere_too_is_left_to_the_import(folder: Folder) -> None:
    write(folder, "__path__.append(__path__[0] + '/more')", "lab/__init__.py")
    write(folder, GOOD, "lab/more/fit.py")
    sweep_of(folder, "lab.fit:train")
    folder.orch("plan", "fit.yaml")
    folder.orch(*INLINE, "fit.yaml")


@pytest.mark.parametrize("command", [("plan",), INLINE])
def test_a_file_with_the_name_of_a_standard_module_is_to_be_renamed(
    folder: Folder, command: tuple[str, ...]
) -> None:
    write(folder, GOOD, "queue.py")
    sweep_of(folder, "queue:train")
    assert refusal(folder, *command) == (
        f"`queue` is a module of Python itself ({os.path.realpath(queue.__file__)}), which is "
        "imported instead of ./queue.py; give yours another name\n"
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sys", "Python itself (built in)"),
        ("orchestrator", f"orch itself ({orchestrator.__file__})"),
    ],
)
def test_a_module_of_python_or_orch_is_no_trainable(folder: Folder, name: str, said: str) -> None:
    sweep_of(folder, f"{name}:train")
    expected = f"`{name}` is a module of {said}; a trainable is in a module of your own\n"
    assert refusal(folder, "plan") == expected


def test_a_file_with_the_name_of_this_tool_is_to_be_renamed(folder: Folder) -> None:
    write(folder, GOOD, "orchestrator.py")
    sweep_of(folder, "orchestrator:train")
    assert "which is imported instead of ./orchestrator.py; give" in refusal(folder, "plan")


def test_a_folder_that_a_package_elsewhere_hides_is_to_be_renamed(folder: Folder) -> None:
    write(folder, GOOD, "_pytest/fit.py")
    sweep_of(folder, "_pytest.fit:train")
    said = refusal(folder, "plan")
    assert said.startswith("`_pytest` is imported from ")
    assert said.endswith(", and not from ./_pytest/fit.py; give yours another name\n")


def test_a_file_whose_name_is_imported_already_is_to_be_renamed(folder: Folder) -> None:
    write(folder, GOOD, "click.py")
    sweep_of(folder, "click:train")
    folder.orch("plan", "fit.yaml")  # Ray's processes do not import click
    assert refusal(folder, *INLINE) == (
        f"`click` is imported already, from {click.__file__}, since orch itself needs it, and not "
        "from ./click.py; give yours another name\n"
    )


def test_what_the_checking_process_has_imported_itself_counts_too(folder: Folder) -> None:
    write(folder, GOOD, "pydantic.py")
    result = preflight.check_configs("pydantic:train", str(folder.path), [])
    assert "`pydantic` is imported already, from " in result["import"]


def test_finding_a_trainable_leaves_the_import_path_alone(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, GOOD)
    monkeypatch.chdir(folder.path)
    before = sys.path.copy()
    commands.main(["plan", "fit.yaml"], standalone_mode=False)
    assert sys.path == before


# What is imported.

WRAP = """
import functools

def wrap(function):
    @functools.wraps(function)
    def wrapper(*args, **more):
        return function(*args, **more)
    return wrapper

"""
UNFIT_OBJECTS = {
    "a number": ("train = 3", "`train` is of type int, and no function; "),
    "a module": ("import os as train", "`train` is of type module, and no function; "),
    "a class under another name": ("class Net: ...\ntrain = Net", "`train` is a class; "),
    "a lambda": ("train = lambda cfg: 1", "it takes (cfg);"),
    "a partial that lacks an argument": (
        "import functools\ndef main(a, b, c):\n    yield a\ntrain = functools.partial(main, b=1)",
        "with (params, trial): it takes (a, *, b=1, c);",
    ),
    "a partial of an async function": (
        "import functools\nasync def main(a, b, c): ...\ntrain = functools.partial(main, 1)",
        "is an `async def`",
    ),
    "an object that is called without trial": (
        "class Net:\n    def __call__(self, x):\n        return x\ntrain = Net()",
        "it takes (x);",
    ),
    "an object with an async call": (
        "class Net:\n    async def __call__(self, params, trial): ...\ntrain = Net()",
        "is an `async def`",
    ),
    "an object that hands nothing over": (
        "class Net:\n    def __call__(self, params, trial):\n        print(self)\ntrain = Net()",
        "nor uses `trial`",
    ),
    "a method that hands nothing over": (
        "class Net:\n    def fit(self, params, t):\n        self.x = 1\ntrain = Net().fit",
        "nor uses `t`",
    ),
    "a function that hands nothing over, in wrappers": (
        WRAP + "@wrap\n@wrap\ndef train(params, trial):\n    print(params)",
        "neither yields",
    ),
    "a partial that hands nothing over": (
        "import functools\ndef f(a, params, trial):\n    a()\ntrain = functools.partial(f, 1)",
        "nor uses `trial`",
    ),
    "a wrapper with other parameters": (
        "import functools\ndef wrap(f):\n    @functools.wraps(f)\n    def main(cfg=None):\n"
        "        return f(cfg)\n    return main\n@wrap\ndef train(params, trial):\n    yield {}",
        "it takes (cfg=None); " + FUNCTION + "; a script runs as it stands with `command: [python,",
    ),
    "a syntax error that parsing does not find": (
        f"return 1\n{GOOD}",
        "SyntaxError: 'return' outside function (fit.py, line 1)",
    ),
    "a name that is not there": ("from os.path import *\ntrian = 1", "unknown function of fit"),
}


@pytest.mark.parametrize(("source", "said"), UNFIT_OBJECTS.values(), ids=UNFIT_OBJECTS)
def test_an_object_that_is_no_trainable_is_refused_where_it_is_imported(
    folder: Folder, source: str, said: str
) -> None:
    write(folder, source)
    folder.orch("plan", "fit.yaml")  # which does not import it
    assert said in refusal(folder, *INLINE)


FIT_OBJECTS = {
    "a wrapped function": WRAP + "@wrap\n" + GOOD,
    "a wrapper that yields itself": (
        "def wrap(f):\n    def g(*a):\n        yield {'score': f()}\n    return g\n"
        "@wrap\ndef train():\n    return 1.0"
    ),
    "a partial": (
        "import functools\ndef f(score, params, trial):\n    yield {'score': score}\n"
        "train = functools.partial(f, 1.0)"
    ),
    "a partial with a keyword": (
        "import functools\ndef f(params, trial, score):\n    yield {'score': score}\n"
        "train = functools.partial(f, score=1.0)"
    ),
    "an object": (
        "class Net:\n    def __call__(self, params, trial):\n        yield {'score': 1.0}\n"
        "train = Net()"
    ),
    "a method": (
        "class Net:\n    def fit(self, params, trial):\n        yield {'score': 1.0}\n"
        "train = Net().fit"
    ),
    "a function that is made from text": f"exec({GOOD!r})",
    "a function in another module": "from lib import *",
}


@pytest.mark.parametrize("source", FIT_OBJECTS.values(), ids=FIT_OBJECTS)
def test_whatever_is_called_with_params_and_trial_runs(folder: Folder, source: str) -> None:
    write(folder, source)
    write(folder, GOOD, "lib.py")
    folder.orch(*INLINE, "fit.yaml")
    assert folder.trials("fit")["score"].tolist() == [1.0]


@pytest.mark.parametrize(
    "source",
    [
        "train = max",
        "import functools\ntrain = functools.lru_cache(max)",
        "def f(*a): ...\nf.__wrapped__ = f\ntrain = f",
        "class Net:\n    __call__ = max\ntrain = Net()",
    ],
)
def test_what_shows_neither_parameters_nor_source_is_let_through(
    folder: Folder, source: str
) -> None:
    write(folder, source)
    folder.orch("plan", "fit.yaml")
    result = preflight.check_configs("fit:train", str(folder.path), [])
    assert result == {"import": None, "refused": {}}
