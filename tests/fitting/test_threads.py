"""One thread for small problems, given back however blocks end and overlap."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from mvlatent.fitting.threads import MOST_ELEMENTS, small_work_on_one_thread

HERE = 3  # threads before a block


@pytest.fixture(autouse=True)
def several():
    """More threads than one, whatever the run was given."""
    before = torch.get_num_threads()
    torch.set_num_threads(HERE)
    yield
    torch.set_num_threads(before)


def test_small_problems_run_on_one_thread_and_large_ones_on_all():
    with small_work_on_one_thread(MOST_ELEMENTS) as n:
        assert n == torch.get_num_threads() == 1
    assert torch.get_num_threads() == HERE
    with small_work_on_one_thread(MOST_ELEMENTS + 1) as n:
        assert n == torch.get_num_threads() == HERE


def test_nested_blocks_give_back_at_the_end_of_the_outer_one():
    with small_work_on_one_thread(1):
        with small_work_on_one_thread(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
        with small_work_on_one_thread(MOST_ELEMENTS + 1) as n:  # a part is not larger than all
            assert n == 1
    assert torch.get_num_threads() == HERE


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_errors_and_interrupts_give_back(error):
    with pytest.raises(error), small_work_on_one_thread(1):
        raise error
    assert torch.get_num_threads() == HERE


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupt_on_the_way_in_gives_back(monkeypatch, when):
    change = torch.set_num_threads

    def interrupted(n):
        if n == 1:
            if when == "after":
                change(n)
            raise KeyboardInterrupt
        change(n)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "set_num_threads", interrupted)
        with pytest.raises(KeyboardInterrupt), small_work_on_one_thread(1):
            raise AssertionError("never entered")
    assert torch.get_num_threads() == HERE
    with small_work_on_one_thread(1):  # and the next block finds what was there
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == HERE


@pytest.mark.parametrize("first_out", ["a", "b"])
def test_blocks_that_overlap_in_several_threads(first_out):
    """B begins within A's block, where a new thread is handed one: it gets back what A found."""
    inside = {name: threading.Event() for name in "ab"}
    may_leave = {name: threading.Event() for name in "ab"}
    with ThreadPoolExecutor(1) as a, ThreadPoolExecutor(1) as b:
        a.submit(torch.get_num_threads).result()  # A exists before, B does not

        def work(name):
            with small_work_on_one_thread(1):
                inside[name].set()
                assert may_leave[name].wait(20)
                return torch.get_num_threads()

        running = {"a": a.submit(work, "a")}
        assert inside["a"].wait(20)
        running["b"] = b.submit(work, "b")
        assert inside["b"].wait(20)
        last_out = "b" if first_out == "a" else "a"
        pools = {"a": a, "b": b}
        for name in (first_out, last_out):
            may_leave[name].set()
            assert running[name].result(20) == 1  # until its own end
            assert pools[name].submit(torch.get_num_threads).result(20) == HERE
        assert all(pools[n].submit(torch.get_num_threads).result(20) == HERE for n in "ab")
    assert torch.get_num_threads() == HERE  # the main thread was in no block
    with ThreadPoolExecutor(1) as fresh:
        assert fresh.submit(torch.get_num_threads).result(20) == HERE


def test_many_fits_at_once_leave_nothing_behind():
    def work(_):
        for _ in range(20):
            with small_work_on_one_thread(1), small_work_on_one_thread(1):
                assert torch.get_num_threads() == 1
        return torch.get_num_threads()

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(work, range(24))) == {HERE}
    with ThreadPoolExecutor(1) as fresh:
        assert fresh.submit(torch.get_num_threads).result(20) == HERE


def test_blas_pools_are_limited_and_given_back():
    control = pytest.importorskip("threadpoolctl")

    def numbers():
        return {i["filepath"]: i["num_threads"] for i in control.threadpool_info() if _is_blas(i)}

    with control.threadpool_limits(limits=2, user_api="blas"):
        before = numbers()
        if not before:
            pytest.skip("no BLAS whose threads can be told")
        with small_work_on_one_thread(1), small_work_on_one_thread(1):
            assert set(numbers().values()) == {1}
        assert numbers() == before


def _is_blas(library) -> bool:
    return library["user_api"] == "blas"
