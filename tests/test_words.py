"""One word, one meaning: glossary, short lists of its words and names of the code agree."""

import ast
import inspect
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import anndata
import pytest

import mvlatent as mv
from mvlatent.fitting.options import Options
from mvlatent.heads.blocks import BLOCK_KINDS, block_kind

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mvlatent"
TREES = {path: ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text("utf-8")
TERMS = {
    term.strip().lower()
    for entries in re.findall(r"```{glossary}\n(.*?)```", GLOSSARY, re.S)
    for line in re.findall(r"^\S.*$", entries, re.M)
    for term in line.split(",")
}
SHORT_LISTS = {  # where a page names words of the glossary, and how it sets them
    "CONTRIBUTING.md": (r"^## Words$(.*)", r"\*\*(\w+)\*\*"),
    "docs/architecture.md": (r"\[glossary\]\(glossary\.md\): (.*?)\.", r"\w+"),
}
CODE = sorted(set(re.findall(r"(?<![`}])`([^`]+)`(?!`)", GLOSSARY)))
NAMED = {*inspect.signature(mv.fit).parameters, *(field.name for field in fields(Options))}
NAMED |= {*inspect.signature(mv.MVLatent.predict_risk).parameters, *dir(anndata.AnnData)}
COLLECTIONS = (ast.Tuple, ast.List, ast.Set, ast.Dict, ast.DictComp)


@pytest.mark.parametrize("page", SHORT_LISTS)
def test_words_of_a_short_list_are_in_the_glossary(page):
    place, word = SHORT_LISTS[page]
    [text] = re.findall(place, (ROOT / page).read_text("utf-8"), re.S | re.M)
    words = {found.lower() for found in re.findall(word, text)}
    assert words
    assert words <= TERMS


@pytest.mark.parametrize("code", CODE)
def test_code_in_the_glossary_exists(code):
    first, *rest = re.split(r"[=(]", code)[0].split(".")
    if code.startswith('"'):
        assert block_kind(code.strip('"')) in BLOCK_KINDS
    elif rest:
        found = {"mv": mv, "model": mv.MVLatent}[first]
        for name in rest:
            found = getattr(found, name)
    else:
        assert first in NAMED


def constants(tree: ast.Module) -> Iterator[str]:
    """Names of the collections that a module spells out."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, COLLECTIONS):
            for name in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(name, ast.Name) and name.id.isupper():
                    yield name.id


def classes(tree: ast.Module) -> Iterator[str]:
    """Names of a module's classes."""
    yield from (node.name for node in tree.body if isinstance(node, ast.ClassDef))


@pytest.mark.parametrize("names", [constants, classes])
def test_a_name_is_given_once(names):
    """A constant says what it lists (not KINDS but whose), and a class what it is."""
    places = defaultdict(list)
    for path, tree in TREES.items():
        for name in names(tree):
            places[name].append(str(path.relative_to(PACKAGE)))
    assert not {name: where for name, where in places.items() if len(where) > 1}


def attributes(name: str) -> dict[str, set[str]]:
    """Folders in which something has an attribute of a name, and what has it."""
    found = defaultdict(set)
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr == name:
                owner = ast.unparse(node.value).split(".")[-1]
                found[path.relative_to(PACKAGE).parts[0]].add(owner)
    return found


def test_n_hidden_is_the_width_of_networks():
    """What lies outside a rotated basis is `n_outside`."""
    assert attributes("n_hidden") == {"vae": {"design"}, "fitting": {"options"}}


def test_a_target_is_what_the_user_specifies():
    """A likelihood is bound to outcomes: it has no target."""
    names = {name for tree in TREES.values() for name in classes(tree) if name.endswith("Target")}
    assert names == {"Target"}
    assert not {"vae", "outcomes", "heads"} & attributes("target").keys()
