"""Every public name says what it takes, what it returns and shows an example that runs.

That the examples do run is tested in test_doctests.py.
"""

import doctest
import inspect
import re

import pytest

import mvlatent as mv

FOLDERS = ("tl", "pl", "sim", "study", "datasets", "objectives")
SCVI = "mvlatent.methods.scvi"  # names of scvi-tools, most of them refused with a sentence
ANSWERED = ("get_var_names", "data_registry", "get_state_registry", "get_setup_arg")
PARSER = doctest.DocTestParser()


def public():
    for name in mv.__all__:
        if name not in FOLDERS:
            yield pytest.param(getattr(mv, name), id=name)
    for folder in FOLDERS:
        for name in getattr(mv, folder).__all__:
            found = getattr(getattr(mv, folder), name)
            if callable(found):  # constants are documented where they are defined
                yield pytest.param(found, id=f"{folder}.{name}")
    for name, found in inspect.getmembers(mv.MVLatent, callable):
        own = not name.startswith("_") and found.__module__.startswith("mvlatent")
        if (own and found.__module__ != SCVI) or name in ANSWERED:
            yield pytest.param(found, id=f"MVLatent.{name}")


def has(doc: str, *sections: str) -> bool:
    return any(re.search(rf"^{section}\n-+$", doc, re.MULTILINE) for section in sections)


def shows(doc: str) -> bool:
    """Whether some line of the examples does something and is run."""
    run = [e for e in PARSER.get_examples(doc) if not e.options.get(doctest.SKIP)]
    return any(not line.source.startswith(("import ", "from ")) for line in run)


@pytest.mark.parametrize("found", [*public()])
def test_documented(found):
    doc = inspect.getdoc(found)
    assert doc and doc.splitlines()[0].endswith((".", ":")), "a first line"
    if inspect.isclass(found):
        assert has(doc, "Parameters", "Attributes"), "what it takes or holds"
    else:
        takes = [name for name in inspect.signature(found).parameters if name != "self"]
        assert has(doc, "Parameters") or not takes, "what it takes"
        nothing = inspect.signature(found).return_annotation in (None, "None")
        assert has(doc, "Returns") or nothing, "what it returns"
        told = doc.split("Parameters\n---")[-1]
        unsaid = [name for name in takes if not re.search(rf"^.*\b{name}\b", told, re.MULTILINE)]
        assert not unsaid, f"parameters {unsaid}"
    assert shows(doc), "an example that runs"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_lists_what_it_holds(folder):
    """The docstrings of the packages name every function."""
    module = getattr(mv, folder)
    assert len(set(module.__all__)) == len(module.__all__)
    functions = [name for name in module.__all__ if name.islower()]
    assert not [name for name in functions if f"`{name}`" not in module.__doc__]
