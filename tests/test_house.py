"""The house is kept: stages in order, no circles, short files, messages in one dialect."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mvlatent as mv

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mvlatent"
TREES = {path: ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}

STAGES = [
    "_files",
    "process",
    "specs",
    "data",
    "vae",
    "posterior",
    "outcomes",
    "heads",
    "objectives",
    "fitting",
]
STAGES += ["reading", "methods", "io", "portable", "model", "_fit"]
LATE = ["tl", "pl", "sim", "study", "datasets", "report", "commands", "cli"]  # all after the model
PLACES = [*STAGES, *LATE]

LINES_OF_A_FILE = 350
LINES_OF_A_FUNCTION = 60  # without its docstring
PASTED = (
    "_line(",
    "_how(",
    "{said}",
    "{how}",
    "{line}",
)  # messages that end in a line of code to paste


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def place_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


MODULES = {name_of(path): tree for path, tree in TREES.items()}


def imports(module: str) -> set[str]:
    """Modules of the package that one imports anywhere in it, for its types alone too."""
    found = set()
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{module}, line {node.lineno}: a relative import"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in MODULES else node.module for name in whole}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name in MODULES}


def circles() -> Iterator[list[str]]:
    """Modules that import one another (Tarjan's strongly connected components)."""
    graph = {module: sorted(imports(module)) for module in MODULES}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(module: str) -> Iterator[list[str]]:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in graph[module]:
            if other not in index:
                yield from visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            at = stack.index(module)
            together, stack[at:] = stack[at:], []
            if len(together) > 1 or module in graph[module]:
                yield together

    for module in graph:
        if module not in index:
            yield from visit(module)


CIRCLES = list(circles())


each_place = pytest.mark.parametrize("place", PLACES)


def paths_in(place: str) -> list[Path]:
    return [path for path in TREES if place_of(name_of(path)) == place]


def test_every_module_has_a_place():
    places = {place_of(module) for module in MODULES}
    assert places <= {"", "_version", *PLACES}


@each_place
def test_a_stage_never_imports_a_later_one(place):
    later = PLACES[PLACES.index(place) + 1 :] if place in STAGES else []
    wrong = [
        f"{module} imports {other}"
        for module in MODULES
        if place_of(module) == place
        for other in imports(module)
        if place_of(other) in later or (place in STAGES and other == "mvlatent")
    ]
    assert not wrong


@each_place
def test_no_circle_of_imports(place):
    assert not [circle for circle in CIRCLES if place in map(place_of, circle)]


@each_place
def test_files_are_short(place):
    lines = {path.name: len(path.read_text("utf-8").splitlines()) for path in paths_in(place)}
    assert not {name: n for name, n in lines.items() if n > LINES_OF_A_FILE}


def body_lines(node: ast.FunctionDef) -> int:
    """Lines of a function without its docstring."""
    written = node.body[0].lineno - 1 if ast.get_docstring(node) else 0
    told = node.body[0].end_lineno - written if written else 0
    return node.end_lineno - node.lineno + 1 - told


@each_place
def test_functions_are_short(place):
    wrong = [
        f"{path.name}: {node.name}, {body_lines(node)} lines"
        for path in paths_in(place)
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.FunctionDef) and body_lines(node) > LINES_OF_A_FUNCTION
    ]
    assert not wrong


@pytest.mark.parametrize("folder", ["tl", "pl", "sim", "study", "datasets", "objectives"])
def test_no_public_name_is_that_of_a_module(folder):
    """A module of a function's name would take its place once it is imported."""
    public = {name for name in getattr(mv, folder).__all__ if name.islower()}
    assert not public & {path.stem for path in (PACKAGE / folder).iterdir()}


def test_no_path_of_one_machine():
    files = [*ROOT.glob("*.py")]
    for folder in ("mvlatent", "tests", "benchmarks", "docs"):
        files += (ROOT / folder).rglob("*.py")
    path = re.compile(r"""['"]/(work|tmp|root|home|Users)/""")
    assert not [file.name for file in files if path.search(file.read_text("utf-8"))]


def messages(tree: ast.AST) -> Iterator[tuple[int, ast.expr]]:
    """What is raised or warned with, and where."""
    for node in ast.walk(tree):
        call = node.exc if isinstance(node, ast.Raise) else node
        warns = isinstance(node, ast.Call) and ast.unparse(node.func) == "warnings.warn"
        if (isinstance(node, ast.Raise) or warns) and isinstance(call, ast.Call) and call.args:
            yield call.lineno, call.args[0]


def ends(message: ast.expr) -> list[str]:
    """Its last words; none where they are made elsewhere."""
    if isinstance(message, ast.Constant):
        return [message.value] if isinstance(message.value, str) else []
    if isinstance(message, ast.JoinedStr):
        last = message.values[-1]
        return [last.value if isinstance(last, ast.Constant) else ast.unparse(last)]
    if isinstance(message, ast.BinOp):
        return ends(message.right)
    if isinstance(message, ast.IfExp):
        return ends(message.body) + ends(message.orelse)
    return []


@pytest.mark.parametrize("place", ["", *PLACES])
def test_messages_are_sentences(place):
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line}: {ast.unparse(message)}"
        for path in paths_in(place)
        for line, message in messages(TREES[path])
        if not all(end.endswith(".") for end in ends(message))
        and not any(code in ast.unparse(message) for code in PASTED)
    ]
    assert not wrong
